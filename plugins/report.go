package plugins

import (
	"context"
	"log/slog"
	"slices"
)

// report logs what a reload changed.
func report(ctx context.Context, log *slog.Logger, old, next *Snapshot) {
	for _, e := range next.entries {
		p := e.plugin
		i := slices.IndexFunc(old.entries, func(before entry) bool {
			return before.plugin.Name == p.Name && before.plugin.Origin.Path == p.Origin.Path
		})
		if i >= 0 {
			before := old.entries[i].plugin
			if before.State == p.State && before.Reason == p.Reason && before.Origin == p.Origin {
				continue
			}
		}
		told := log.With("plugin", p.Name, "kind", string(p.Origin.Kind), "path", p.Origin.Path,
			"digest", p.Origin.Digest, "state", string(p.State))
		switch {
		case p.State == StateOK:
			told.InfoContext(ctx, "plugin loaded")
		case p.Usable:
			told.WarnContext(ctx, "plugin loaded that nobody vouches for", "reason", p.Reason)
		default:
			told.WarnContext(ctx, "plugin not used", "reason", p.Reason)
		}
	}
}

// changed reports whether the Works are others than before, or what keeps them from
// being used is.
func changed(old, next *Snapshot) bool {
	return !slices.EqualFunc(old.entries, next.entries, func(a, b entry) bool {
		return a.plugin.Name == b.plugin.Name && a.plugin.Origin == b.plugin.Origin && a.plugin.State == b.plugin.State &&
			a.plugin.Reason == b.plugin.Reason && a.plugin.Usable == b.plugin.Usable && a.opened == b.opened
	})
}
