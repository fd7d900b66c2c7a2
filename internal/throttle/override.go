package throttle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// With returns the configuration with other values for some keys: a JSON object
// such as {"interval": "200ms", "windows": ["22:00-06:00 UTC"]}. Lists are
// replaced and not appended to; an empty list, or null, is none. Nothing
// changes nothing. The error says everything that is wrong with the result.
func (c Config) With(keys []byte) (Config, error) {
	merged, expires, err := c.merge(keys)
	switch {
	case err != nil:
		return c, fmt.Errorf("throttle configuration: %w", err)
	case !expires.IsZero():
		return c, errors.New("throttle configuration: expires_at: is for the override of one migration")
	}
	return merged, nil
}

// CheckOverride returns what is wrong with a migration's override: an object
// as [Config.With] takes it, but without interval, which is the database's. It
// may have a key expires_at (RFC 3339), from when on it does not count.
func (c Config) CheckOverride(override []byte) error {
	_, _, err := c.overridden(override)
	return err
}

// overridden returns the configuration of one migration, and when its
// override ends; zero: never.
func (c Config) overridden(override []byte) (merged Config, expires time.Time, err error) {
	merged, expires, err = c.merge(override)
	if err == nil && merged.Interval != c.Interval {
		err = errors.New("interval: is the database's, and cannot be one migration's")
	}
	if err != nil {
		return c, time.Time{}, fmt.Errorf("throttle override: %w", err)
	}
	return merged, expires, nil
}

func (c Config) merge(data []byte) (merged Config, expires time.Time, err error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return c, time.Time{}, nil
	}
	merged = c
	if err := merged.dropReplaced(data); err != nil {
		return c, time.Time{}, err
	}
	keys := struct {
		*Config

		ExpiresAt time.Time `json:"expires_at"`
	}{Config: &merged}
	if err := decodeStrictly(data, &keys); err != nil {
		return c, time.Time{}, err
	}
	return merged, keys.ExpiresAt, merged.Validate()
}

// dropReplaced empties the lists that the data has: JSON would be decoded
// into their elements, which other configurations share.
func (c *Config) dropReplaced(data []byte) error {
	var present struct {
		Custom     json.RawMessage `json:"custom"`
		Windows    json.RawMessage `json:"windows"`
		ReplicaLag struct {
			Standbys json.RawMessage `json:"standbys"`
			Ignore   json.RawMessage `json:"ignore"`
		} `json:"replica_lag"`
	}
	if err := json.Unmarshal(data, &present); err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	if present.Custom != nil {
		c.Custom = nil
	}
	if present.Windows != nil {
		c.Windows = nil
	}
	if present.ReplicaLag.Standbys != nil {
		c.ReplicaLag.Standbys = nil
	}
	if present.ReplicaLag.Ignore != nil {
		c.ReplicaLag.Ignore = nil
	}
	return nil
}

// decodeStrictly refuses unknown keys and whatever follows the object.
func decodeStrictly(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read JSON: something follows the object")
	}
	return nil
}
