package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The rules say what agent/config checks, in its words; test/crds holds both to the same verdict. How they are written, and why so,
// is in docs/decisions/0008-rules-in-the-crd.md.

// Registry is what is wanted of all images whose name begins with a prefix.
//
// +kubebuilder:validation:XValidation:rule=`!self.prefix.contains('@')`,message="has a digest or a user name in it; write the name without @ and what follows it",fieldPath=.prefix
// +kubebuilder:validation:XValidation:rule=`!has(self.fallback) || self.fallback != 'Never' || (has(self.mirrors) && self.mirrors.size() > 0)`,message="Never leaves no place to ask, for there are no mirrors; add a mirror, or write Always",fieldPath=.fallback
// +kubebuilder:validation:XValidation:rule=`!has(self.fallback) || self.fallback != 'Never' || !has(self.mirrors) || self.mirrors.size() == 0 || self.mirrors.exists(m, !has(m.resolveTags) || m.resolveTags)`,message="Never leaves no place to ask for a tag, for no mirror resolves tags; set resolveTags: true on a mirror, or write Always",fieldPath=.fallback
// +kubebuilder:validation:XValidation:rule=`!has(self.mirrors) || [([('https://' + self.prefix.find('^[^/]+') + '/v2' + self.prefix.substring(self.prefix.find('^[^/]+').size())).replace('https://docker.io/', 'https://registry-1.docker.io/').replace('https://index.docker.io/', 'https://registry-1.docker.io/')] + self.mirrors.map(m, has(m.location) ? m.location.find('^https?://[^/]+') + '/v2' + m.location.substring(m.location.find('^https?://[^/]+').size()) : has(m.apiRoot) ? m.apiRoot : "")).map(u, (u.endsWith('/') ? u : u + '/').replace(u.startsWith('http:') ? ':80/' : ':443/', '/', 1)).map(u, u.find('^https?://[^/]+').lowerAscii() + u.substring(u.find('^https?://[^/]+').size()))].all(l, l.all(u, u == '/' || l.exists_one(w, w == u)))`,message="one of them is the same place as another, or is the registry itself, which is asked in any case; remove it",fieldPath=.mirrors
type Registry struct {
	// Prefix is host[:port][/path] as it stands in an image reference, or "*" for every registry without an entry of its own.
	// Docker Hub is docker.io. It ends at a "/" of the reference only: r.io means neither r.io:5000 nor r.ionice.
	// The host is compared as it is written, in its case. Not every runtime knows prefixes with a path.
	// +required
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule=`self != ''`,message="is empty; write a registry such as quay.io, or \"*\" for all of them"
	// +kubebuilder:validation:XValidation:rule=`self.contains('@') || !self.contains('://')`,messageExpression=`'has a scheme; write ' + self.substring(self.indexOf('://') + 3)`
	// +kubebuilder:validation:XValidation:rule=`self == '*' || !self.contains('*')`,message="is a pattern, which no runtime knows; write an entry for each registry, or \"*\" for every one without an entry of its own"
	// +kubebuilder:validation:XValidation:rule=`!self.endsWith('/') || self.matches('@|://')`,message="ends with a slash; write it without"
	// +kubebuilder:validation:XValidation:rule=`self.matches('^localhost(:|$)|@') || !self.matches('^[a-z0-9_-]+(:|:[^/:]*[^0-9/:][^/:]*)?$')`,messageExpression=`'is an image of Docker Hub, not a registry; write docker.io/library/' + self.split(':')[0] + ', or a registry with a dot or a port'`
	// +kubebuilder:validation:XValidation:rule=`self.matches('^localhost/|@') || !self.matches('^[a-z0-9_-]+/')`,messageExpression=`'is a name of Docker Hub, not a registry; write docker.io/' + self + ', or a registry with a dot or a port'`
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-zA-Z0-9._:/*\[\]-]*$|@')`,message="has a character that is not allowed; use plain letters, digits and . - _ : / only"
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[*]?$|[@*]|://') || self.matches(r'(?i)^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*|\[[^\]]*\])(:[^:/]*)?(/|$)')`,message="has no host name; write one such as registry.example.com, and an IPv6 address in brackets: [fd00::1]:5000"
	// +kubebuilder:validation:XValidation:rule=`!self.matches(r'^([^/:]*[.])?\d+(:[^/]*)?(/|$)') || self.contains('@') || self.matches(r'^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)[.]){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(:|/|$)')`,message="has an address with numbers that are none; write four numbers up to 255"
	// +kubebuilder:validation:XValidation:rule=`!self.startsWith('[') || self.contains('@') || !self.matches(r'(?i)^\[([0:]*:ffff(:[0-9a-f]+){2}\]|(0+:){5}ffff:)') && (self.matches(r'(?i)^\[([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\]') || self.matches(r'(?i)^\[([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?::([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?\]') && self.find(r'^[^\]]*').findAll('[0-9a-fA-F]+').size() < 8)`,message="has an IPv6 address that is none; write it as [fd00::1] or [fd00::1]:5000, without a zone"
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[*]?$|[@*]|://') || !self.startsWith('localhost:') && self.matches('^[a-z0-9_-]+(:|:[^/:]*[^0-9/:][^/:]*)?$') || !self.matches(r'^([^/:\[]*|\[[^/]*\]):(|0[^/:]*|\d*[^\d/:][^/:]*|\d{6,}|[7-9]\d{4}|6[6-9]\d{3}|65[6-9]\d\d|655[4-9]\d|6553[6-9])(/|$)')`,message="has a port that is none; write a number from 1 to 65535"
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[*]?$|[@*]|://') || !self.matches('/[^/]*:')`,message="has a tag; write the name only, without it"
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[*]?$|[@*]|://') || !self.matches('/.*[A-Z]')`,message="has upper-case letters in its path, which no repository has; write it in lower case, if that is its name"
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[*]?$|[@*]|://') || self.matches(r'/[^/]*:|/$') || self.matches(r'(?i)^[^/]*(/[a-z0-9]+(([.]|__?|-+)[a-z0-9]+)*)*$')`,message="has a part that no repository name has; use lower-case letters and digits, with one . or _, two __ or dashes between them, and one slash between two parts"
	Prefix string `json:"prefix"`

	// Upstream is how the registry itself is verified. It may stand without any mirror, for a registry with a private CA.
	// +optional
	Upstream *Upstream `json:"upstream,omitempty"`

	// Mirrors are asked in this order, before the registry itself.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Mirrors []Mirror `json:"mirrors,omitempty"`

	// Fallback says whether the registry itself is asked when no mirror has the image: Always, or Never, which needs at least
	// one mirror that resolves tags.
	// +optional
	// +kubebuilder:default=Always
	Fallback Fallback `json:"fallback,omitempty"`

	// OnExisting says what becomes of an entry that the owner of the node has made for the same registry. Keep leaves it alone and
	// reports a conflict; Prepend puts the mirrors before what is there; Replace uses the mirrors only, until this entry goes.
	// +optional
	// +kubebuilder:default=Keep
	OnExisting OnExisting `json:"onExisting,omitempty"`
}

// Fallback says whether a registry is asked when its mirrors have failed.
//
// +kubebuilder:validation:Enum=Always;Never
type Fallback string

// The fallbacks.
const (
	FallbackAlways Fallback = "Always"
	FallbackNever  Fallback = "Never"
)

// OnExisting says what becomes of the node owner's own entry.
//
// +kubebuilder:validation:Enum=Keep;Prepend;Replace
type OnExisting string

// What can become of the owner's entry.
const (
	OnExistingKeep    OnExisting = "Keep"
	OnExistingPrepend OnExisting = "Prepend"
	OnExistingReplace OnExisting = "Replace"
)

// Upstream is how a registry itself is verified, and what it is shown.
//
// +kubebuilder:validation:XValidation:rule=`!(has(self.ca) && has(self.skipVerify) && self.skipVerify)`,message="makes ca pointless, for any certificate is accepted; remove one of them",fieldPath=.skipVerify
type Upstream struct {
	// CA is trusted beside the system's pool.
	// +optional
	CA *CA `json:"ca,omitempty"`
	// ClientCert is shown to the registry.
	// +optional
	ClientCert *SecretReference `json:"clientCert,omitempty"`
	// SkipVerify accepts any certificate.
	// +optional
	SkipVerify bool `json:"skipVerify,omitempty"`
}

// Mirror is one place that is asked instead of a registry.
//
// +kubebuilder:validation:XValidation:rule=`has(self.location) || has(self.apiRoot)`,message="has none of location, apiRoot; write one of them"
// +kubebuilder:validation:XValidation:rule=`!has(self.location) || !has(self.apiRoot)`,message="cannot stand beside location; keep one of them",fieldPath=.apiRoot
// +kubebuilder:validation:XValidation:rule=`!has(self.location) || !self.location.contains('@')`,message="has a user name or a password in it; use auth",fieldPath=.location
// +kubebuilder:validation:XValidation:rule=`!has(self.location) || !self.location.matches('[?#]') || self.location.contains('@')`,message="has a query or a fragment; write the URL without ? and # and what follows; use headers or auth for what it said",fieldPath=.location
// +kubebuilder:validation:XValidation:rule=`!has(self.apiRoot) || !self.apiRoot.contains('@')`,message="has a user name or a password in it; use auth",fieldPath=.apiRoot
// +kubebuilder:validation:XValidation:rule=`!has(self.apiRoot) || !self.apiRoot.matches('[?#]') || self.apiRoot.contains('@')`,message="has a query or a fragment; write the URL without ? and # and what follows; use headers or auth for what it said",fieldPath=.apiRoot
// +kubebuilder:validation:XValidation:rule=`!has(self.ca) || !(has(self.location) ? self.location : has(self.apiRoot) ? self.apiRoot : "").startsWith('http://')`,message="cannot be had with plain HTTP; remove it, or use https",fieldPath=.ca
// +kubebuilder:validation:XValidation:rule=`!has(self.clientCert) || !(has(self.location) ? self.location : has(self.apiRoot) ? self.apiRoot : "").startsWith('http://')`,message="cannot be had with plain HTTP; remove it, or use https",fieldPath=.clientCert
// +kubebuilder:validation:XValidation:rule=`!has(self.skipVerify) || !self.skipVerify || !(has(self.location) ? self.location : has(self.apiRoot) ? self.apiRoot : "").startsWith('http://')`,message="cannot be had with plain HTTP; remove it, or use https",fieldPath=.skipVerify
// +kubebuilder:validation:XValidation:rule=`!(has(self.ca) && has(self.skipVerify) && self.skipVerify)`,message="makes ca pointless, for any certificate is accepted; remove one of them",fieldPath=.skipVerify
type Mirror struct {
	// Location is http(s)://host[:port][/path]. The path is a repository prefix that takes the place of the entry's prefix: with
	// prefix docker.io, https://harbor.example.com/hub is asked for hub/library/nginx. http is plain HTTP, without TLS.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`!self.matches('[^/]/v2(/|$)') || self.matches('[@?#]')`,messageExpression=`'the path has a v2 in it, and runtimes put their own before the path; write ' + (self.matches('^https?://[^/]*/v2(/|$)') ? 'location: ' + self.replace('/v2', '', 1) : 'apiRoot: ' + self + ' instead of location')`
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^https?://[^/]*/.*[A-Z]') || self.matches('[@?#]')`,message="has upper-case letters in its path, which no repository has; write it in lower case, if that is its name"
	// +kubebuilder:validation:XValidation:rule=`self.matches('[@?#%]') || !self.matches('^https?://') || self.matches(r'(?i)^https?://[^/]*(/[a-z0-9]+(([.]|__?|-+)[a-z0-9]+)*)*/?$')`,message="has a part that no repository name has; use lower-case letters and digits, with one . or _, two __ or dashes between them, and one slash between two parts"
	Location URL `json:"location,omitempty"`

	// APIRoot is used instead of location where a registry serves its API elsewhere than under /v2, as Artifactory and Nexus do:
	// https://h/artifactory/api/docker/hub/v2. It is used verbatim. CRI-O has no words for it.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^https?://[^/@?#]*/?$')`,message="has no path; write the path as well, such as https://h.example.com/artifactory/api/docker/hub/v2, or use location"
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^https?://.*//|/[.][.]?(/|$)') || self.matches('[@?#]')`,message="the path is not clean; write the path as the server knows it, without .. and double slashes"
	APIRoot URL `json:"apiRoot,omitempty"`

	// CA is trusted for this mirror beside the system's pool.
	// +optional
	CA *CA `json:"ca,omitempty"`

	// ClientCert is shown to this mirror: a Secret of type kubernetes.io/tls.
	// +optional
	ClientCert *SecretReference `json:"clientCert,omitempty"`

	// Auth is a Secret of type kubernetes.io/basic-auth or kubernetes.io/dockerconfigjson, of which the entry for the mirror's
	// host is used. On the node it stands in a file that only root may read.
	// +optional
	Auth *SecretReference `json:"auth,omitempty"`

	// SkipVerify accepts any certificate of this mirror.
	// +optional
	SkipVerify bool `json:"skipVerify,omitempty"`

	// Headers are sent with every request to this mirror. They are no place for secrets: for those there is auth.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule=`!self.exists(k, k.matches('(?i)^(authorization|proxy-authorization|cookie)$'))`,message="credentials do not belong into a document that many may read; use auth, which keeps it in a Secret"
	// +kubebuilder:validation:XValidation:rule=`!self.exists(k, k.matches('(?i)^(host|content-length|transfer-encoding|connection)$'))`,message="one of them is set by the HTTP client itself: Host, Content-Length, Transfer-Encoding or Connection; remove it"
	// +kubebuilder:validation:XValidation:rule=`self.all(k, k.matches('^[!#$%&*+.^_|~0-9a-zA-Z\\x27\\x60-]{1,128}$'))`,message="one of them is not the name of a header; use letters, digits and - only, at most 128"
	// +kubebuilder:validation:XValidation:rule=`self.all(k, self.exists_one(o, o.lowerAscii() == k.lowerAscii()))`,message="the same header is there twice, in different case; keep one of them"
	// +kubebuilder:validation:XValidation:rule=`self.all(k, self[k].size() <= 4096)`,message="a value is longer than 4096 characters; shorten it"
	// +kubebuilder:validation:XValidation:rule=`self.map(k, self[k]).all(v, !v.matches('[[:cntrl:]]'))`,message="a value has a line break or another control character; write it on one line"
	Headers map[string]string `json:"headers,omitempty"`

	// ResolveTags says whether this mirror may decide what a tag means. A mirror that may not is asked by digest only.
	// +optional
	// +kubebuilder:default=true
	ResolveTags *bool `json:"resolveTags,omitempty"`

	// DialTimeout is how long a connection may take to be made: more than 0, at most 30s. containerd knows it from 2.1 on.
	// +optional
	// +kubebuilder:default="1s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[+-]?(([0-9]+([.][0-9]*)?|[.][0-9]+)([nuµμm]?s|m|h))+$')`,message="is not a duration; write one such as \"1s\" or \"500ms\""
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^[+-]?(([0-9]+([.][0-9]*)?|[.][0-9]+)([nuµμm]?s|m|h))+$') || duration(self) > duration('0s') && duration(self) <= duration('30s')`,message="is out of range; write more than 0 and at most 30s"
	DialTimeout *metav1.Duration `json:"dialTimeout,omitempty"`
}

// URL is where a server is: http(s)://host[:port], with or without a path.
//
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule=`self != ""`,message="is empty; write one such as https://harbor.example.com/hub"
// +kubebuilder:validation:XValidation:rule=`self == "" || self.contains('://') || self.matches('[@?#]')`,messageExpression=`'has no scheme; write https://' + self + ' or http://' + self`
// +kubebuilder:validation:XValidation:rule=`!self.contains('://') || self.matches('^https?://|[@?#]')`,message="has a scheme that is not known; write https:// or http://, in lower case"
// +kubebuilder:validation:XValidation:rule=`!self.contains('%') || self.matches('[@?#]')`,message="has a % in it; write the path without escapes, and an IPv6 address without a zone"
// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[!#-&(-;=?-\[\]_a-z~]*$|[@?#]')`,message="has a character that is not allowed; use plain letters, digits and . - _ : / only"
// +kubebuilder:validation:XValidation:rule=`self.matches('[@?#%]') || !self.matches('^https?://') || self.matches(r'(?i)^https?://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*|\[[^\]]*\])(:[^:/]*)?(/|$)')`,message="has no host name; write one such as registry.example.com, and an IPv6 address in brackets: [fd00::1]:5000"
// +kubebuilder:validation:XValidation:rule=`!self.matches(r'^https?://([^/:]*[.])?\d+(:|/|$)') || self.matches('[@?#]') || self.matches(r'^https?://((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)[.]){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(:|/|$)')`,message="has an address with numbers that are none; write four numbers up to 255"
// +kubebuilder:validation:XValidation:rule=`!self.contains('://[') || self.matches('[@?#%]') || !self.matches(r'(?i)/\[([0:]*:ffff(:[0-9a-f]+){2}\]|(0+:){5}ffff:)') && (self.matches(r'(?i)^https?://\[([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\]') || self.matches(r'(?i)^https?://\[([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?::([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?\]') && self.find(r'\[[^\]]*').findAll('[0-9a-fA-F]+').size() < 8)`,message="has an IPv6 address that is none; write it as [fd00::1] or [fd00::1]:5000, without a zone"
// +kubebuilder:validation:XValidation:rule=`!self.matches(r'^https?://([^/:\[]*|\[[^/]*\]):(|0[^/:]*|\d*[^\d/:][^/:]*|\d{6,}|[7-9]\d{4}|6[6-9]\d{3}|65[6-9]\d\d|655[4-9]\d|6553[6-9])(/|$)') || self.matches('[@?#]')`,message="has a port that is none; write a number from 1 to 65535"
// +kubebuilder:validation:XValidation:rule=`!self.matches(r'(?i)^https?://docker[.]io(/|$)') || self.matches('[@?#]')`,message="docker.io is a name in references; no registry answers there; write https://registry-1.docker.io"
type URL string

// CA is one or several certificates of certificate authorities, in PEM.
//
// +kubebuilder:validation:XValidation:rule=`has(self.secretRef) || has(self.configMapRef) || has(self.pem)`,message="has none of secretRef, configMapRef, pem; write one of them"
// +kubebuilder:validation:XValidation:rule=`!has(self.secretRef) || !has(self.configMapRef)`,message="cannot stand beside secretRef; keep one of them",fieldPath=.configMapRef
// +kubebuilder:validation:XValidation:rule=`!has(self.pem) || !has(self.secretRef) && !has(self.configMapRef)`,message="cannot stand beside secretRef or configMapRef; keep one of them",fieldPath=.pem
// +kubebuilder:validation:XValidation:rule=`!has(self.pem) || [self.pem].all(p, p.contains('-----BEGIN CERTIFICATE-----'))`,message="holds no certificate that can be read; paste the PEM of the authority's certificate, from -----BEGIN CERTIFICATE----- on",fieldPath=.pem
// +kubebuilder:validation:XValidation:rule=`!has(self.pem) || [self.pem].all(p, !p.contains('PRIVATE KEY-----'))`,message="holds a private key, which would be there for everybody to read; paste the PEM of the authority's certificate, from -----BEGIN CERTIFICATE----- on",fieldPath=.pem
type CA struct {
	// SecretRef is a key of a Secret.
	// +optional
	SecretRef *KeyReference `json:"secretRef,omitempty"`
	// ConfigMapRef is a key of a ConfigMap.
	// +optional
	ConfigMapRef *KeyReference `json:"configMapRef,omitempty"`
	// PEM is the certificates themselves.
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	PEM string `json:"pem,omitempty"`
}

// KeyReference names one key of an object in the agent's own namespace.
type KeyReference struct {
	// Name is the object's.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="is not a name that an object can have; use lower-case letters, digits, - and . only"
	Name string `json:"name"`
	// Key is ca.crt where nothing else is said.
	// +optional
	// +kubebuilder:default=ca.crt
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[-._a-zA-Z0-9]+$') && !self.matches('^[.]([.]|$)')`,message="is not a key that an object can have; use letters, digits, -, _ and . only"
	Key string `json:"key,omitempty"`
}

// SecretReference names a Secret as a whole; which of its keys are read follows from what it is used for.
type SecretReference struct {
	// SecretRef is a Secret of the agent's own namespace.
	// +required
	SecretRef *NameReference `json:"secretRef"`
}

// NameReference names an object in the agent's own namespace.
type NameReference struct {
	// Name is the object's.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="is not a name that an object can have; use lower-case letters, digits, - and . only"
	Name string `json:"name"`
}
