package throttle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// With returns the configuration with an override applied: a JSON object with
// the keys that differ, such as {"duty": 0.3, "windows": ["22:00-06:00 UTC"]}.
// Lists are replaced and not appended to; an empty list, or null, is none. A
// further key, expires_at (RFC 3339), ends the override: from then on the
// configuration is as it was. An empty override changes nothing. The error
// says everything that is wrong with the result.
func (c Config) With(override []byte) (Config, error) {
	merged, _, err := c.with(override)
	return merged, err
}

// with returns, beside the merged configuration, when the override ends; zero: never.
func (c Config) with(override []byte) (merged Config, expires time.Time, err error) {
	if len(bytes.TrimSpace(override)) == 0 {
		return c, time.Time{}, nil
	}
	merged = c
	if err := merged.dropReplaced(override); err != nil {
		return c, time.Time{}, err
	}
	keys := struct {
		*Config

		ExpiresAt time.Time `json:"expires_at"`
	}{Config: &merged}
	if err := decodeStrictly(override, &keys); err != nil {
		return c, time.Time{}, fmt.Errorf("throttle override: %w", err)
	}
	if err := merged.Validate(); err != nil {
		return c, time.Time{}, fmt.Errorf("throttle override: %w", err)
	}
	if merged.Interval != c.Interval {
		return c, time.Time{}, errors.New("throttle override: interval: is the database's, and cannot be one migration's")
	}
	return merged, keys.ExpiresAt, nil
}

// dropReplaced empties the lists that the override has: JSON would be decoded
// into their elements, which other configurations share.
func (c *Config) dropReplaced(override []byte) error {
	var present struct {
		Custom     json.RawMessage `json:"custom"`
		Windows    json.RawMessage `json:"windows"`
		ReplicaLag struct {
			Standbys json.RawMessage `json:"standbys"`
			Ignore   json.RawMessage `json:"ignore"`
		} `json:"replica_lag"`
	}
	if err := json.Unmarshal(override, &present); err != nil {
		return fmt.Errorf("throttle override: read JSON: %w", err)
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
