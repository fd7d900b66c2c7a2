package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// probeAnswer bounds what is read of an answer.
const probeAnswer = 64 << 10

func newProbeCommand(a *app) *cobra.Command {
	var base string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "probe live|ready",
		Short: "Ask a running daemon whether it is alive, or ready",
		Long: "Asks the daemon's /livez or /readyz, and exits 0 if the answer is yes. It is for systems that\n" +
			"check by running a command: an image without a shell has no curl.",
		Example:   "  bbmd probe ready\n  bbmd probe live --url http://127.0.0.1:8080",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"live", "ready"},
		RunE: func(cmd *cobra.Command, args []string) error {
			address := base
			if address == "" {
				cfg, err := a.load()
				if err != nil {
					return err
				}
				if address, err = probeURL(cfg.HTTP.Listen); err != nil {
					return withCode(exitUsage, err)
				}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return a.probe(ctx, strings.TrimRight(address, "/")+"/"+args[0]+"z?verbose")
		},
	}
	cmd.Flags().StringVar(&base, "url", "", "`address` of the daemon (default http.listen of the configuration, on this machine)")
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Second, "how long the answer may take")
	return cmd
}

// probeURL returns where a daemon that listens on that address can be asked
// from the same machine.
func probeURL(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	switch {
	case listen == "":
		return "", errors.New("http.listen is empty, so that no daemon answers probes: set it, or give --url")
	case err != nil:
		return "", fmt.Errorf("http.listen: %w", err)
	case port == "0":
		return "", errors.New("http.listen takes any free port, so that nobody knows which: give --url")
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return (&url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}).String(), nil
}

// probe asks, and prints the answer.
func (a *app) probe(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return withCode(exitUsage, fmt.Errorf("probe: %w", err))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return withCode(exitUnexpected, fmt.Errorf("probe: %w: is the daemon running?", err))
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, probeAnswer))
	if err != nil {
		return withCode(exitUnexpected, fmt.Errorf("probe: read answer: %w", err))
	}
	if response.StatusCode != http.StatusOK {
		return withCode(exitUnexpected, fmt.Errorf("probe: %s\n%s", response.Status, strings.TrimSpace(string(answer))))
	}
	return a.printf("%s", answer)
}
