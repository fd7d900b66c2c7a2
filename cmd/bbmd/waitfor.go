package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// waitForAttempt bounds one attempt to connect: a firewall may just be silent.
const waitForAttempt = 5 * time.Second

// waitFor waits until every address accepts connections, one after the other.
func (a *app) waitFor(ctx context.Context, addresses []string) error {
	for _, address := range addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return withCode(exitUsage, fmt.Errorf("--wait-for %s: it is not host:port", address))
		}
	}
	for _, address := range addresses {
		if err := a.waitForOne(ctx, address); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) waitForOne(ctx context.Context, address string) error {
	dialer := net.Dialer{Timeout: waitForAttempt}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 2*time.Second
	told := false
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close() // it has said all it was asked
			return nil
		}
		if !told && ctx.Err() == nil {
			told = true
			_, _ = fmt.Fprintf(a.err, "bbmd: waiting for %s: %v\n", address, err) // there is nobody else to tell
		}
		timer := time.NewTimer(wait.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return waitForEnded(ctx, address, err)
		}
	}
}

// waitForEnded says why it is not waited any more.
func waitForEnded(ctx context.Context, address string, last error) error {
	if errors.Is(context.Cause(ctx), errSchemaTimeout) {
		return withCode(exitTimeout, fmt.Errorf("%s accepts no connections: %w", address, last))
	}
	return withCode(exitInterrupted, fmt.Errorf("not waiting for %s any more: %w", address, context.Cause(ctx)))
}
