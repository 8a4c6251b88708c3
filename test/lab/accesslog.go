package lab

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is one line of a registry's access log.
type Request struct {
	Time          time.Time
	Method, Path  string
	Namespace     string // what ns= said; a runtime that takes the registry for a mirror sends it
	UserAgent     string
	Authorization bool // that header was there
	ClientCert    bool // a certificate was shown
	Status        int
	RemoteAddr    string
	Bytes         int64 // sent in the answer's body
}

// AccessLog is the proof of who was asked for what. The zero value is empty and ready.
type AccessLog struct {
	mu   sync.Mutex
	list []Request
}

// Requests returns what has been answered so far, in that order.
func (l *AccessLog) Requests() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// About returns the requests for one repository, such as library/nginx, that are for manifests or blobs.
func (l *AccessLog) About(repository string) []Request {
	return slices.DeleteFunc(l.Requests(), func(r Request) bool {
		return !strings.HasPrefix(r.Path, "/v2/"+repository+"/manifests/") && !strings.HasPrefix(r.Path, "/v2/"+repository+"/blobs/")
	})
}

// Clear forgets everything.
func (l *AccessLog) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

func (l *AccessLog) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &answer{ResponseWriter: w, status: http.StatusOK}
		line := Request{
			Time: time.Now(), Method: r.Method, Path: r.URL.Path, Namespace: r.URL.Query().Get("ns"), UserAgent: r.UserAgent(),
			Authorization: r.Header.Get("Authorization") != "", ClientCert: r.TLS != nil && len(r.TLS.PeerCertificates) > 0,
			RemoteAddr: r.RemoteAddr,
		}
		next.ServeHTTP(answer, r)
		line.Status, line.Bytes = answer.status, answer.bytes
		l.mu.Lock()
		defer l.mu.Unlock()
		l.list = append(l.list, line)
	})
}

// answer remembers what was answered.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach what the answer stands in front of.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
