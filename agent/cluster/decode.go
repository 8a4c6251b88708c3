package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// head is what every object has, as far as watching it needs it.
type head struct {
	Metadata struct {
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
}

// decodeList reads a list of the API server, one item after another, so that what is not wanted is never in memory all at once. It returns
// the version of the whole. A list that does not come to its end is an error, whatever has been handed to each.
func decodeList(r io.Reader, each func(name string, object []byte)) (version string, err error) {
	d := json.NewDecoder(r)
	if err := expect(d, '{'); err != nil {
		return "", err
	}
	items := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", err
		}
		switch key {
		case "metadata":
			version, err = decodeVersion(d)
		case "items":
			items, err = true, decodeItems(d, each)
		default:
			err = d.Decode(new(json.RawMessage))
		}
		if err != nil {
			return "", err
		}
	}
	if err := expect(d, '}'); err != nil {
		return "", err
	}
	if version == "" || !items {
		return "", errors.New("the answer is not a list of objects")
	}
	return version, nil
}

// decodeVersion reads the metadata of a list.
func decodeVersion(d *json.Decoder) (string, error) {
	var m struct{ ResourceVersion, Continue string }
	if err := d.Decode(&m); err != nil {
		return "", err
	}
	if m.Continue != "" {
		return "", errors.New("the answer is only a part of the list, and no part was asked for")
	}
	return m.ResourceVersion, nil
}

// decodeItems reads the items of a list; null is an empty list, as Go writes a slice that is nil.
func decodeItems(d *json.Decoder, each func(name string, object []byte)) error {
	token, err := d.Token()
	if err != nil || token == nil {
		return err
	}
	if token != json.Delim('[') {
		return errors.New("the items are not a list")
	}
	for d.More() {
		var object json.RawMessage
		if err := d.Decode(&object); err != nil {
			return err
		}
		var o head
		if err := json.Unmarshal(object, &o); err != nil {
			return err
		}
		if o.Metadata.Name == "" {
			return errors.New("an item has no name")
		}
		each(o.Metadata.Name, object)
	}
	return expect(d, ']')
}

func expect(d *json.Decoder, delim json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token != delim {
		return fmt.Errorf("expected %v, found %v", delim, token)
	}
	return nil
}
