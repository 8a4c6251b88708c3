// Visitor is what a DaemonSet runs in the lab's own test: it writes its name into /etc/visited of the host that is mounted at /host, and
// below that what the API server says to its service account about the node. Then it waits to be told to end.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	said, err := ask(ctx, "https://"+os.Getenv("KUBERNETES_SERVICE_HOST")+":"+os.Getenv("KUBERNETES_SERVICE_PORT")+
		"/api/v1/nodes/"+os.Getenv("NODE_NAME"))
	if err != nil {
		log.Fatal(err)
	}
	if err := syscall.Chroot("/host"); err != nil {
		log.Fatal(err)
	}
	hostname, err := os.ReadFile("/etc/hostname")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("/etc/visited", fmt.Appendf(nil, "%s%s\n", hostname, said), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Println("visited")
	<-ctx.Done()
}

func ask(ctx context.Context, url string) (string, error) {
	ca, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return "", err
	}
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return "", err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.Status, err
}
