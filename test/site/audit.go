package site

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

// Audit is what an API server notes of the agents' requests: when, what, the answer, and all that they have sent.
type Audit struct{ folder string }

// NewAudit keeps an API server's notes in a folder.
func NewAudit(folder string) (*Audit, error) {
	a := &Audit{folder}
	return a, os.WriteFile(a.policy(), []byte(`apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Request, users: ["system:serviceaccount:mirrorlet-system:mirrorlet"]}
- {level: None}
`), 0o644)
}

func (a *Audit) policy() string { return filepath.Join(a.folder, "policy.yaml") }

func (a *Audit) log() string { return filepath.Join(a.folder, "audit.log") }

// Config is that of an API server that notes.
func (a *Audit) Config() lab.APIServerConfig {
	return lab.APIServerConfig{Args: []string{"--audit-policy-file=" + a.policy(), "--audit-log-path=" + a.log()}}
}

// Note is one answer of the API server. A watch has one when it begins and another when it ends.
type Note struct {
	Stage, Verb, RequestURI, UserAgent string
	ObjectRef                          struct{ APIGroup, Resource, Subresource, Namespace, Name string }
	ResponseStatus                     struct{ Code int }
	RequestObject                      json.RawMessage
}

// String is what a person would say of it.
func (n Note) String() string {
	return fmt.Sprintf("%s %s: %d (%s)", n.Verb, n.RequestURI, n.ResponseStatus.Code, n.Stage)
}

// Ended says that it was of a watch that ended, which is no request.
func (n Note) Ended() bool { return n.Verb == "watch" && n.Stage == "ResponseComplete" }

// Notes are what the agents have asked so far, and the answers. The API server notes an answer before it sends it.
func (a *Audit) Notes() ([]Note, error) {
	data, err := os.ReadFile(a.log())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // nobody has asked
	}
	var all []Note
	for line := range bytes.Lines(data) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		var one Note
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, err
}
