package tracing

import "context"

// Flush sends what is queued.
func (p *Provider) Flush(ctx context.Context) error { return p.provider.ForceFlush(ctx) }
