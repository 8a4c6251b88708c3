package config

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// lookup finds the values behind references: in the documents, else among the last good ones.
type lookup struct {
	values, lastGood map[string][]byte
	used             map[string][]byte
	judge            judge
}

// group is values of one object that only make sense together.
type group struct {
	object string // such as "Secret/harbor-ca"
	// keys are alternatives; the first of them whose keys are all there counts.
	keys [][]string
	// check says why values that are there cannot be used, without showing them.
	check func(values map[string][]byte) error
	// late says why values that can be used are of no use at this time; nil for values that are of use at any.
	late func(values map[string][]byte) error
}

// find returns the values of a group by key. The text says why they are not those of the documents, or why there are none. Values whose
// time is over, or has not come, are used all the same, unless the last good ones are of use now: a clock may be wrong, and a runtime,
// which has the same one, is not worse off with them than with none.
func (l *lookup) find(g group) (values map[string][]byte, why error) {
	values, why = g.among(l.values)
	if why == nil && g.late != nil {
		why = l.late(g, values)
	}
	if why != nil {
		old, err := g.among(l.lastGood)
		if err != nil {
			return nil, why
		}
		values = old
	}
	for key, value := range values {
		l.used[g.object+"/"+key] = value
	}
	return values, why
}

// late says why values are of no use now where the last good ones are.
func (l *lookup) late(g group, values map[string][]byte) error {
	why := g.late(values)
	if why == nil {
		return nil
	}
	if old, err := g.among(l.lastGood); err != nil || g.late(old) != nil {
		return nil
	}
	return fmt.Errorf("%s %w", g.object, why)
}

// among returns the values of the group that are in all, if they are there and of use.
func (g group) among(all map[string][]byte) (map[string][]byte, error) {
	for _, keys := range g.keys {
		values := map[string][]byte{}
		for _, key := range keys {
			if value, ok := all[g.object+"/"+key]; ok {
				values[key] = value
			}
		}
		if len(values) < len(keys) {
			continue
		}
		if err := g.check(values); err != nil {
			return nil, fmt.Errorf("%s %w", g.object, err)
		}
		return values, nil
	}
	return nil, g.absent(all)
}

func (g group) absent(all map[string][]byte) error {
	for key := range all {
		if strings.HasPrefix(key, g.object+"/") {
			var wanted []string
			for _, keys := range g.keys {
				wanted = append(wanted, strings.Join(keys, " and "))
			}
			return fmt.Errorf("%s has no %s", g.object, strings.Join(wanted, ", nor "))
		}
	}
	return fmt.Errorf("%s is not there", g.object)
}

// ca finds certificates of authorities.
func (l *lookup) ca(r reference) ([]byte, error) {
	values, why := l.find(group{
		object: r.kind + "/" + r.name, keys: [][]string{{r.key}},
		check: func(values map[string][]byte) error {
			if _, err := certificates(values[r.key]); err != nil {
				return fmt.Errorf("holds %w in %s", err, r.key)
			}
			return nil
		},
		late: func(values map[string][]byte) error { return l.judge.authorities(values[r.key]).why() },
	})
	return values[r.key], why
}

// The keys of a Secret of type kubernetes.io/tls.
const (
	certKey    = "tls.crt"
	privateKey = "tls.key"
)

// clientCert finds a certificate and its key.
func (l *lookup) clientCert(name string) (cert, key []byte, why error) {
	values, why := l.find(group{
		object: "Secret/" + name, keys: [][]string{{certKey, privateKey}},
		check: func(values map[string][]byte) error { return checkPair(values[certKey], values[privateKey]) },
		late:  func(values map[string][]byte) error { return l.judge.client(values[certKey]).why() },
	})
	return values[certKey], values[privateKey], why
}

// The keys of Secrets with credentials, by the types kubernetes.io/dockerconfigjson and kubernetes.io/basic-auth.
const (
	dockerConfigKey = ".dockerconfigjson"
	usernameKey     = "username"
	passwordKey     = "password"
)

// authorization finds credentials for a host, as the value of the Authorization header.
func (l *lookup) authorization(name, host string) (string, error) {
	header := ""
	_, why := l.find(group{object: "Secret/" + name, keys: [][]string{{dockerConfigKey}, {usernameKey, passwordKey}}, check: func(values map[string][]byte) (err error) {
		username, password := string(values[usernameKey]), string(values[passwordKey])
		if config, ok := values[dockerConfigKey]; ok {
			if username, password, err = dockerCredentials(config, host); err != nil {
				return err
			}
		}
		header, err = basic(username, password)
		return err
	}})
	return header, why
}

func basic(username, password string) (string, error) {
	control := func(c rune) bool { return c < ' ' || c == 0x7f }
	switch {
	case username == "":
		return "", errors.New("has an empty user name")
	case strings.Contains(username, ":"):
		return "", errors.New("has a user name with a colon, which Basic authentication cannot carry")
	case strings.ContainsFunc(username+password, control):
		return "", errors.New("has a line break or another control character in its credentials; make it without a newline at the end")
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password)), nil
}

// dockerCredentials finds the entry of a host in a Docker config file. Keys are hosts, or URLs as docker login wrote them once.
func dockerCredentials(config []byte, host string) (username, password string, err error) {
	var file struct {
		Auths map[string]struct{ Username, Password, Auth string }
	}
	if json.Unmarshal(config, &file) != nil {
		return "", "", errors.New("holds a .dockerconfigjson that is not one")
	}
	for _, key := range slices.Sorted(maps.Keys(file.Auths)) {
		_, bare, found := strings.Cut(key, "://")
		if !found {
			bare = key
		}
		if bare, _, _ = strings.Cut(bare, "/"); canonicalHost(bare) != host {
			continue
		}
		auth := file.Auths[key]
		if auth.Username != "" || auth.Auth == "" {
			return auth.Username, auth.Password, nil
		}
		decoded, err := base64.StdEncoding.DecodeString(auth.Auth)
		username, password, found := strings.Cut(string(decoded), ":")
		if err != nil || !found {
			return "", "", fmt.Errorf("holds a .dockerconfigjson whose auth for %s is not base64 of user:password", host)
		}
		return username, password, nil
	}
	return "", "", fmt.Errorf("holds a .dockerconfigjson without an entry for %s", host)
}

// serviceAddresses finds the ClusterIPs of a Service, namespace/name. It has none where the API server says so (answer), or where nobody
// knows: that is why.
func (l *lookup) serviceAddresses(name string) (addresses []string, answer string, why error) {
	_, why = l.find(group{object: "Service/" + name, keys: [][]string{{ClusterIPs}}, check: func(values map[string][]byte) (err error) {
		addresses, answer = nil, ""
		switch value := string(values[ClusterIPs]); value {
		case NoService, Headless, ExternalName:
			answer = answers[value]
		default:
			addresses, err = clusterIPs(value)
		}
		return err
	}})
	return addresses, answer, why
}

// clusterIPs are the addresses in a text, one of each family.
func clusterIPs(text string) ([]string, error) {
	var addresses []string
	family := map[bool]bool{}
	for field := range strings.FieldsSeq(text) {
		address, err := netip.ParseAddr(field)
		if err != nil {
			return nil, errors.New("has a ClusterIP that is not an IP address")
		}
		if !family[address.Is4()] {
			addresses = append(addresses, address.String())
		}
		family[address.Is4()] = true
	}
	if len(addresses) == 0 {
		return nil, errors.New("has no ClusterIP")
	}
	return addresses, nil
}

// ClusterIPs is the key of the addresses of a Service among values: ClusterIPs with white space between them, or one of the words below.
const ClusterIPs = "clusterIPs"

// What an API server says of a Service without ClusterIPs. That it says so is another thing than not knowing: the addresses of before are
// the Service's no longer.
const (
	NoService    = "gone"
	Headless     = "None" // as in its clusterIPs
	ExternalName = "ExternalName"
)

// answers are those words for people.
var answers = map[string]string{
	NoService:    "is not there",
	Headless:     "is headless and has no address of its own",
	ExternalName: "is of type ExternalName and has no address of its own",
}
