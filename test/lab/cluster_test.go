package lab_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

func cluster(t *testing.T, releases ...string) (*lab.Lab, *lab.Cluster, []*lab.Worker) {
	t.Helper()
	lab.NeedCluster(t, releases...)
	l, start := lab.Start(t), time.Now()
	c, err := l.Cluster(lab.APIServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("control plane after %s", time.Since(start).Round(time.Millisecond))
	var workers []*lab.Worker
	for _, release := range releases {
		w, err := c.Worker(lab.WorkerConfig{Containerd: release})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s with containerd %s Ready after %s", w.Name, release, time.Since(start).Round(time.Millisecond))
		workers = append(workers, w)
	}
	return l, c, workers
}

// visitors is a DaemonSet as an agent's is: on the network of the node, privileged, with the whole host mounted.
const visitors = `
{apiVersion: v1, kind: ServiceAccount, metadata: {name: visitor}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: visitor},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin},
 subjects: [{kind: ServiceAccount, name: visitor, namespace: default}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: visitor}
spec:
  selector: {matchLabels: {app: visitor}}
  template:
    metadata: {labels: {app: visitor}}
    spec:
      serviceAccountName: visitor
      hostNetwork: true
      priorityClassName: system-node-critical
      containers:
      - name: visitor
        image: lab.invalid/visitor:1
        securityContext: {privileged: true, readOnlyRootFilesystem: true}
        env: [{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        volumeMounts: [{name: host, mountPath: /host, mountPropagation: HostToContainer}]
      volumes: [{name: host, hostPath: {path: /}}]
`

func visitorImage(t *testing.T, l *lab.Lab) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "visitor")
	build := exec.Command("go", "build", "-o", program, "./testdata/visitor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	image, err := l.ProgramImage("lab.invalid/visitor:1", program)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func TestADaemonSetReachesTheAPIServerAndTheFilesOfEveryWorker(t *testing.T) {
	l, c, workers := cluster(t, "2.4", "1.7", "1.6")
	image := visitorImage(t, l)
	for _, w := range workers {
		if err := w.Import(image); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	if _, err := c.Apply(visitors); err != nil {
		t.Fatal(err)
	}
	kubectl(t, c.APIServer, "rollout", "status", "daemonset/visitor", "--timeout=60s")
	t.Logf("the DaemonSet runs after %s", time.Since(start).Round(time.Millisecond))
	for _, w := range workers {
		file := w.Path("/etc/visited")
		soon(t, func() bool { _, err := os.Stat(file); return err == nil }, w.Name+" was not visited")
		if got, err := os.ReadFile(file); err != nil || string(got) != w.Name+"\n200 OK\n" {
			t.Errorf("%s: got %q, %v", w.Name, got, err)
		}
	}
	if _, err := os.Stat("/etc/visited"); err == nil {
		t.Error("the machine's own /etc was visited")
	}
	if got := kubectl(t, c.APIServer, "logs", "--selector=app=visitor"); strings.Count(got, "visited") != len(workers) {
		t.Errorf("the logs of the pods are %q", got)
	}
}

func TestPodsOutliveARestartOfTheirContainerdAndComeBackAfterALossOfPower(t *testing.T) {
	l, c, workers := cluster(t, "2.4")
	w := workers[0]
	visited := func() bool { _, err := os.Stat(w.Path("/etc/visited")); return err == nil }
	if err := w.Import(visitorImage(t, l)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Apply(visitors); err != nil {
		t.Fatal(err)
	}
	soon(t, visited, "no pod came up")

	before := processes(t, w)
	if err := w.Containerd.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := w.Containerd.Start(); err != nil {
		t.Fatal(err)
	}
	if after := processes(t, w); after != before || before == "" {
		t.Errorf("before containerd was restarted the pod was process %s, and then %s", before, after)
	}

	if err := errors.Join(w.Off(), os.Remove(w.Path("/etc/visited")), w.On(), w.Start()); err != nil {
		t.Fatal(err)
	}
	soon(t, visited, "the pod did not come back")
}

// processes are those of the pods of visitors.
func processes(t *testing.T, w *lab.Worker) string {
	t.Helper()
	out, err := w.Run("/bin/sh", "-c", "grep -lx program /proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err, out)
	}
	return out
}
