package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

func main() {
	address := os.Getenv("GOVULNDB")
	if address == "" {
		address = "https://vuln.go.dev"
	}
	if err := reach(address); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func reach(address string) error {
	const index = "index/db.json"
	database, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("GOVULNDB is not a URL: %w", err)
	}
	if database.Scheme == "file" {
		_, err := os.Stat(filepath.Join(filepath.FromSlash(database.Path), index))
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, database.JoinPath(index).String(), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", request.URL, answer.Status)
	}
	return nil
}
