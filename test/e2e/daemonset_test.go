package e2e_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// TestTheDaemonSetServesTheContainerdThatRunsIt is the life of a cluster: each step goes on where the last one has ended.
func TestTheDaemonSetServesTheContainerdThatRunsIt(t *testing.T) {
	e := settle(t)
	first := e.grow(t, lab.WorkerConfig{Name: "first"})
	shell(t, e.Fleet, "kubectl apply -f v1.yaml && kubectl rollout status daemonset/mirrorlet --namespace=mirrorlet-system --timeout=60s")
	e.write(t, e.theMirror())
	shell(t, e.Fleet, "kubectl apply -f mirrorconfig.yaml && kubectl label node first mirrorlet.dev/enabled=true")
	var second *lab.Worker
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"a pod starts from an image that only the mirror has", func(t *testing.T) {
			e.await(t, first, obeyedReason, "Proven")
			e.pod(t, first, e.mirror)
		}},
		{"an edit is obeyed by the next pod", func(t *testing.T) {
			e.edit(t, first)
			e.pod(t, first, e.spare)
		}},
		{"the agent keeps to itself", func(t *testing.T) { e.modest(t, first) }},
		{"a rolling update leaves no gap", func(t *testing.T) { e.restarted(t, first) }},
		{"an agent that is killed comes back", func(t *testing.T) { e.killed(t, first) }},
		{"a restart of its containerd is proven again by the same agent", func(t *testing.T) { e.restartedBelow(t, first) }},
		{"a node that was off has its mirrors, and is proven again", func(t *testing.T) { e.off(t, first) }},
		{"a node that joins later is served", func(t *testing.T) {
			second = e.grow(t, lab.WorkerConfig{Name: "second", Containerd: "1.7", Labels: []string{"mirrorlet.dev/enabled=true"}})
			e.await(t, second, obeyedReason, "Proven")
			e.pod(t, second, e.spare)
		}},
		{"an upgrade and a downgrade leave the mirrors alone", func(t *testing.T) { e.released(t, first, second) }},
		{"nodes keep their mirrors when everything is deleted, and later", func(t *testing.T) { e.deleted(t); e.kept(t) }},
		{"nodes leave when everything is there again", func(t *testing.T) { e.deleted(t); e.left(t) }},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

// edit points the MirrorConfig at the spare mirror, which wants to know who asks.
func (e *estate) edit(t *testing.T, w *lab.Worker) {
	t.Helper()
	generation := e.show(t, "mirrorconfig/cluster", "{.metadata.generation}")
	shell(t, e.Fleet, "kubectl patch mirrorconfig cluster --type=json --patch='[{\"op\": \"replace\", \"path\": \"/spec/registries/0/mirrors/0\", \"value\": "+e.theSpare()+"}]'")
	now := e.show(t, "mirrorconfig/cluster", "{.metadata.generation}")
	if now == generation {
		t.Fatal("the edit changed nothing")
	}
	e.await(t, w, "{.status.configs[0].generation}", now)
	e.await(t, w, obeyedReason, "Proven")
}

// restarted has every agent replaced by one of the same release.
func (e *estate) restarted(t *testing.T, w *lab.Worker) {
	before, pod := written(t, w), e.agentPod(t, w)
	stop := e.pulling(t, w)
	shell(t, e.Fleet, "kubectl rollout restart daemonset/mirrorlet --namespace=mirrorlet-system && kubectl rollout status daemonset/mirrorlet --namespace=mirrorlet-system --timeout=60s")
	pulled := stop()
	t.Logf("%d pulls meanwhile", pulled)
	if pulled < 3 {
		t.Errorf("only %d pulls were made meanwhile", pulled)
	}
	if now := e.agentPod(t, w); now == pod {
		t.Errorf("%s was not replaced", pod)
	}
	untouched(t, w, before)
	e.pod(t, w, e.spare)
}

// killed kills the agent as the kernel does where memory is short.
func (e *estate) killed(t *testing.T, w *lab.Worker) {
	before, pod, pid := written(t, w), e.agentPod(t, w), agentProcess(t, w)
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	shell(t, e.Fleet, "kubectl wait --namespace=mirrorlet-system --timeout=60s --for=jsonpath={.status.containerStatuses[0].restartCount}=1 "+pod)
	shell(t, e.Fleet, "kubectl wait --namespace=mirrorlet-system --timeout=60s --for=condition=Ready "+pod)
	if now := agentProcess(t, w); now == pid {
		t.Errorf("process %d was not killed", pid)
	}
	untouched(t, w, before)
	e.pod(t, w, e.spare)
}

// restartedBelow restarts the containerd that runs the agent.
func (e *estate) restartedBelow(t *testing.T, w *lab.Worker) {
	before, pid, proof := written(t, w), agentProcess(t, w), e.show(t, "mirrornode/"+w.Name, obeyedMessage)
	must(t, w.Containerd.Stop())
	must(t, w.Containerd.Start())
	start := time.Now()
	e.proven(t, w, proof)
	t.Logf("proven again after %s", time.Since(start).Round(time.Millisecond))
	if now := agentProcess(t, w); now != pid {
		t.Errorf("the agent was process %d and is %d", pid, now)
	}
	untouched(t, w, before)
	e.pod(t, w, e.spare)
}

// off takes the power from a node, and gives it back.
func (e *estate) off(t *testing.T, w *lab.Worker) {
	before, proof := written(t, w), e.show(t, "mirrornode/"+w.Name, obeyedMessage)
	must(t, errors.Join(w.Off(), w.On(), w.Start()))
	start := time.Now()
	e.proven(t, w, proof)
	t.Logf("proven again after %s", time.Since(start).Round(time.Millisecond))
	untouched(t, w, before)
	e.pod(t, w, e.spare)
}

// proven waits for a proof that is newer than one.
func (e *estate) proven(t *testing.T, w *lab.Worker, than string) {
	t.Helper()
	report := "mirrornode/" + w.Name
	soon(t, w.Name+" has proven again what it reads", func() bool {
		return e.show(t, report, obeyedMessage) != than && e.show(t, report, obeyedReason) == "Proven"
	})
}

// released installs the next release of the agent, and goes back.
func (e *estate) released(t *testing.T, workers ...*lab.Worker) {
	for _, release := range []string{"v2", "v1"} {
		before := map[*lab.Worker]string{}
		for _, w := range workers {
			before[w] = written(t, w)
		}
		shell(t, e.Fleet, "kubectl apply -f "+release+".yaml && kubectl rollout status daemonset/mirrorlet --namespace=mirrorlet-system --timeout=60s")
		for _, w := range workers {
			e.await(t, w, "{.status.agent}", release)
			e.await(t, w, obeyedReason, "Proven")
			untouched(t, w, before[w])
		}
		e.discreet(t)
	}
	e.pod(t, workers[0], e.spare)
}

// deleted deletes what is installed without leaving before.
func (e *estate) deleted(t *testing.T) {
	t.Helper()
	shell(t, e.Fleet, "cp v1.yaml install.yaml")
	before := map[*lab.Worker]string{}
	for _, w := range e.Workers {
		before[w] = written(t, w)
	}
	shell(t, e.Fleet, "kubectl delete -f install.yaml")
	for _, w := range e.Workers {
		e.pod(t, w, e.spare)
		untouched(t, w, before[w])
	}
}

// mended is the section about what to do then. Its first block is for who wants to leave, its second for who wants to keep the mirrors.
const mended = "### When install.yaml was deleted first"

func (e *estate) kept(t *testing.T) {
	before := map[*lab.Worker]string{}
	for _, w := range e.Workers {
		before[w] = written(t, w)
	}
	e.write(t, e.theSpare())
	for _, line := range blocks(section(t, e.Fleet, "docs/install.md", mended), "sh")[1] {
		shell(t, e.Fleet, line)
	}
	for _, w := range e.Workers {
		e.await(t, w, obeyedReason, "Proven")
		untouched(t, w, before[w])
	}
}

func (e *estate) left(t *testing.T) {
	for _, line := range blocks(section(t, e.Fleet, "docs/install.md", mended), "sh")[0] {
		shell(t, e.Fleet, line)
	}
	for _, line := range blocks(section(t, e.Fleet, "docs/install.md", "## Leave"), "sh")[0] {
		shell(t, e.Fleet, line)
	}
	for _, w := range e.Workers {
		if is, err := site.Pristine(w); err != nil || is != e.before[w] {
			t.Errorf("%s was\n%s\nand is (%v)\n%s", w.Name, e.before[w], err, is)
		}
	}
}

// modest checks what the agent takes of its node beside the work that it does.
func (e *estate) modest(t *testing.T, w *lab.Worker) {
	pid := agentProcess(t, w)
	listens(t, pid)
	for field, limit := range map[string]int64{"VmRSS": 30 << 10, "RssAnon": 12 << 10} {
		got := status(t, pid, field)
		t.Logf("%s %d KiB", field, got)
		if got > limit {
			t.Errorf("%s is %d KiB, and may be %d", field, got, limit)
		}
	}
	id := strings.TrimPrefix(e.show(t, e.agentPod(t, w), "{.status.containerStatuses[0].containerID}"), "containerd://")
	unwritten(t, w, id)
	e.discreet(t)
}
