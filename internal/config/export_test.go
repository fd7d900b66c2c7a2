package config

import (
	"context"
	"reflect"
)

// Parse loads content as if it were the file at path.
func Parse(path string, content []byte, sources Sources) (Config, error) {
	return load(sources, func(l *loader) { l.readContent(path, content) })
}

// Trail is trail.
func Trail(path string) []string { return trail(path) }

// Mask is mask.
func Mask(conn string) string { return mask(conn) }

// Look is look, as after an event.
func (w *Watcher) Look(ctx context.Context) { w.look(ctx) }

// Settled is settled, as after the settle time.
func (w *Watcher) Settled(ctx context.Context) { w.settled(ctx) }

// Close closes what Look opened.
func (w *Watcher) Close() { w.follow.close() }

// Text is text.
func Text(v reflect.Value) string { return text(v) }
