package executor

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// guardedValue is guarded for code that returns a value.
func guardedValue[T any](ctx context.Context, log *slog.Logger, call func() (T, error)) (value T, err error) {
	err = guarded(ctx, log, func() error {
		value, err = call()
		return err
	})
	return value, err
}

// guarded calls a Work's own code. A panic is the Work's error, and nobody else's end.
func guarded(ctx context.Context, log *slog.Logger, call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "the work panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("the Work panicked: %v", p)
		}
	}()
	return call()
}
