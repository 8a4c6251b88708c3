package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
	"github.com/mirrorlet/mirrorlet/test/site"
)

const configTOML = `version = 3
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '/etc/containerd/certs.d'
[plugins.'io.containerd.nri.v1.nri']
  disable = true
`

// real does the main job: documents in, and a containerd that provably pulls through the mirror out.
func real(l *lab.Lab, program string) error {
	binary, err := parts.Path(part)
	if err != nil {
		return err
	}
	s, err := site.New(l, program, binary, configTOML)
	if err != nil {
		return err
	}
	title("Real parts: a registry with a private CA as " + site.Registry + ", two mirrors of it, and containerd on a node of its own")
	story := &story{Site: s}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"containerd starts, and trusts nobody's private CA", story.start},
		{"the agent starts, finds containerd, and applies the MirrorConfig", story.apply},
		{"a pull by tag goes to the mirror, and to nobody else", story.byTag},
		{"the upstream stops; a pull by digest still comes", story.byDigest},
		{"an edit names the other mirror; the next pull obeys, no restart", story.edit},
		{"that mirror stops; the pull falls back to the upstream", story.fallBack},
		{"uninstall: /etc and /var/lib are byte for byte what they were", story.leave},
	} {
		began := time.Now()
		story.notes = nil
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		fmt.Printf("\n ok %-70s %5.1f s\n", step.what, time.Since(began).Seconds())
		for _, n := range story.notes {
			fmt.Print(indent(n))
		}
	}
	return nil
}

// story is what the steps share.
type story struct {
	*site.Site
	agent  *site.Agent
	before string
	notes  []string
}

func (s *story) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

func (s *story) start() (err error) {
	if err := s.Node.Start(); err != nil {
		return err
	}
	if s.before, err = s.Tree(); err != nil {
		return err
	}
	if _, err := s.Image("library/early:1"); err != nil {
		return err
	}
	if err := s.Pull("library/early:1"); err == nil || !strings.Contains(err.Error(), "certificate") {
		return fmt.Errorf("the pull should fail for the unknown CA: %w", err)
	}
	return s.Want(s.Mirror)
}

func (s *story) apply() (err error) {
	plan, _ := s.Run("plan") // exits with 2, since there is something to do
	s.note("$ mirrorlet plan\n%s", plan)
	if s.agent, err = s.Agent(); err != nil {
		return err
	}
	line, err := s.agent.Applied()
	s.note("the agent's log: %s", line)
	return err
}

func (s *story) byTag() error {
	if _, err := s.pulls("library/by-tag:1", "library/by-tag:1", s.Mirror); err != nil {
		return err
	}
	out, err := s.Run("explain", site.Registry+"/library/by-tag:1")
	s.note("$ mirrorlet explain %s/library/by-tag:1\n%s", site.Registry, out)
	return err
}

func (s *story) byDigest() error {
	digest, err := s.Image("library/by-digest:1")
	if err != nil {
		return err
	}
	if err := s.Upstream.Stop(); err != nil {
		return err
	}
	if err := s.asks("library/by-digest@"+digest, s.Mirror); err != nil {
		return err
	}
	return s.Upstream.Start()
}

func (s *story) edit() error {
	if err := s.Want(s.Spare); err != nil {
		return err
	}
	began := time.Now()
	if _, err := s.agent.Applied(); err != nil {
		return err
	}
	s.note("from edit to applied: %d ms", time.Since(began).Milliseconds())
	_, err := s.pulls("library/edited:1", "library/edited:1", s.Spare)
	return err
}

func (s *story) fallBack() error {
	if _, err := s.Image("library/fallback:1"); err != nil {
		return err
	}
	if err := s.Spare.Stop(); err != nil {
		return err
	}
	return s.asks("library/fallback:1", s.Upstream)
}

func (s *story) leave() error {
	if _, err := s.agent.Stop(); err != nil {
		return err
	}
	out, err := s.Run("uninstall")
	s.note("$ mirrorlet uninstall\n%s", out)
	if err != nil {
		return err
	}
	after, err := s.Tree()
	if err == nil && after != s.before {
		err = fmt.Errorf("it was\n%s\nand is\n%s", s.before, after)
	}
	return err
}

// pulls makes an image everywhere, pulls it, and checks who was asked.
func (s *story) pulls(name, image string, from *lab.Registry) (string, error) {
	digest, err := s.Image(name)
	if err != nil {
		return "", err
	}
	return digest, s.asks(image, from)
}

// asks pulls an image and reads the access logs of all registries: only one may have been asked.
func (s *story) asks(image string, from *lab.Registry) error {
	all := map[string]*lab.Registry{"upstream": s.Upstream, "mirror": s.Mirror, "other mirror": s.Spare}
	for _, r := range all {
		r.Log.Clear()
	}
	if err := s.Pull(image); err != nil {
		return err
	}
	for name, r := range all {
		lines := r.Log.Requests()
		if r != from && len(lines) > 0 {
			return fmt.Errorf("the %s was asked: %s %s", name, lines[0].Method, lines[0].Path)
		}
		if r != from {
			continue
		}
		if len(lines) == 0 {
			return fmt.Errorf("the %s was not asked", name)
		}
		s.note("the access log of the %s:", name)
		for _, l := range lines {
			s.note("  %-4s %s  ns=%s  %d  %s", l.Method, l.Path, l.Namespace, l.Status, l.UserAgent)
		}
	}
	return nil
}
