package site

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// applyTimeout is far longer than an edit takes to reach the disk.
const applyTimeout = 20 * time.Second

// Agent is the program's agent, running for the node.
type Agent struct {
	cmd   *exec.Cmd
	lines chan string
}

// Agent starts it.
func (s *Site) Agent() (*Agent, error) {
	a := &Agent{cmd: exec.Command(s.program, "agent", "--root", s.Node.Root, "--config", s.Config), lines: make(chan string, 1000)}
	log, err := a.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	go a.read(log)
	return a, nil
}

func (a *Agent) read(log io.Reader) {
	defer close(a.lines)
	for scanner := bufio.NewScanner(log); scanner.Scan(); {
		a.lines <- scanner.Text()
	}
}

// Applied returns when the agent logs that it has applied something, with that line.
func (a *Agent) Applied() (string, error) {
	late := time.After(applyTimeout)
	var seen []string
	for {
		select {
		case line, more := <-a.lines:
			seen = append(seen, line)
			switch {
			case strings.Contains(line, "msg=applied"):
				return line, nil
			case !more:
				return "", fmt.Errorf("the agent has ended, and said: %s", strings.Join(seen, "\n"))
			}
		case <-late:
			return "", fmt.Errorf("the agent has applied nothing within %s, and said: %s", applyTimeout, strings.Join(seen, "\n"))
		}
	}
}

// Stop ends the agent by SIGTERM and returns what it had logged beyond what Applied has returned.
func (a *Agent) Stop() ([]string, error) {
	err := a.cmd.Process.Signal(syscall.SIGTERM)
	var rest []string
	for line := range a.lines {
		rest = append(rest, line)
	}
	return rest, errors.Join(err, a.cmd.Wait())
}
