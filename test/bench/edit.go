package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// Edit is how long after the moment before the PATCH was sent something was so.
type Edit struct {
	Answered time.Duration // the API server has answered
	Told     time.Duration // it has told of the change, to a watch of the bench's own: no agent can know it before
	Obeyed   time.Duration // the file of the node leads to the other mirror: the next pull goes there
	Proven   time.Duration // the MirrorNode says Obeyed, with the runtime's proof; 0: not awaited
	Polled   time.Duration // the opponent has written its file
}

// Edit leads pulls to the other one of the two mirrors. The report is awaited only if that is asked for: where edits follow each other
// closely, proofs and reports are spread by design (agent, cluster.Reporter), and would tell of that.
func (b *Bed) Edit(proven bool) (Edit, error) {
	other := map[string]string{b.cluster.Mirror.URL(): b.cluster.Spare.URL(), b.cluster.Spare.URL(): b.cluster.Mirror.URL()}[b.mirror]
	b.mirror = other
	begun := time.Now()
	generation, err := b.patch(other)
	e := Edit{Answered: time.Since(begun)}
	if err != nil {
		return e, err
	}
	for _, look := range []struct {
		after *time.Duration
		at    func() (time.Time, error)
	}{
		{&e.Obeyed, func() (time.Time, error) { return b.ours.names(other) }},
		{&e.Told, func() (time.Time, error) {
			return b.configs.until(func(t told) bool { return t.object.Metadata.Generation == generation })
		}},
		{&e.Polled, func() (time.Time, error) { return b.theirs.names(other) }},
		{&e.Proven, func() (time.Time, error) {
			if !proven {
				return begun, nil
			}
			return b.reports.until(func(t told) bool { return obeys(t.object.Status, generation) })
		}},
	} {
		at, err := look.at()
		if err != nil {
			return e, err
		}
		*look.after = at.Sub(begun)
	}
	return e, nil
}

// obeys says that a report is about a generation of the MirrorConfig, and that the runtime has proven it.
func obeys(s v1alpha1.MirrorNodeStatus, generation int64) bool {
	return len(s.Configs) == 1 && s.Configs[0].Generation == generation && len(s.Conditions) == 1 &&
		s.Conditions[0].Type == v1alpha1.ConditionObeyed && s.Conditions[0].Status == metav1.ConditionTrue
}

// patch sends the edit and returns its generation.
func (b *Bed) patch(mirror string) (int64, error) {
	body := fmt.Sprintf(`[{"op": "replace", "path": "/spec/registries/0/mirrors/0/location", "value": %q}]`, mirror)
	request, err := http.NewRequest(http.MethodPatch, b.cluster.API.URL+object, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json-patch+json")
	answer, err := b.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body) // to its end, so that the connection is used again
	if err != nil {
		return 0, err
	}
	var config v1alpha1.MirrorConfig
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("patch: %s: %s", answer.Status, data)
	}
	err = json.Unmarshal(data, &config)
	return config.Generation, err
}

// Pull has the runtime pull an image and returns an error if anybody but the mirror of the last edit was asked for it.
func (b *Bed) Pull() error {
	all := map[string]*lab.Registry{}
	for _, r := range []*lab.Registry{b.cluster.Upstream, b.cluster.Mirror, b.cluster.Spare} {
		r.Log.Clear()
		all[r.URL()] = r
	}
	if err := b.cluster.Pull(image); err != nil {
		log, unread := os.ReadFile(b.cluster.Node.Log)
		return fmt.Errorf("%w; the log of containerd (%v): %s", err, unread, log)
	}
	for url, r := range all {
		if n := site.Asked(r, "library/app"); (n > 0) != (url == b.mirror) {
			return fmt.Errorf("the edit leads to %s, and a pull asked %s %d times", b.mirror, url, n)
		}
	}
	return nil
}
