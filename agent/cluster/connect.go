package cluster

import (
	"errors"
	"fmt"
	"net"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// ServiceAccount is the folder into which the kubelet mounts the token and the CA of a Pod (plugin/pkg/admission/serviceaccount of
// Kubernetes).
const ServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// InCluster is the way from a Pod to the API server: its address from the environment that the kubelet gives every container, token and CA
// from the folder of the service account. The folder is opened here and read through that handle from then on, so the process may chroot
// afterwards. It is held open until the process ends.
func InCluster(folder string, getenv func(string) string) (*rest.Config, error) {
	host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, as they are in every Pod; outside of one name a kubeconfig by --kubeconfig")
	}
	account, err := openAccount(folder)
	if err != nil {
		return nil, err
	}
	return &rest.Config{Host: "https://" + net.JoinHostPort(host, port), Transport: account}, nil
}

// Kubeconfig is the way from a machine outside of the cluster to the API server, by the current context of a file as kubectl has it.
// Certificates are read here; a file with a token, or a program that gets one, is asked anew as they expire and so must be there after a
// chroot too.
func Kubeconfig(file string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err == nil {
		err = rest.LoadTLSFiles(config)
	}
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", file, err)
	}
	config.CAFile, config.CertFile, config.KeyFile = "", "", ""
	return config, nil
}
