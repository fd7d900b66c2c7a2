package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/config"
)

const (
	// kubernetesLog is where Kubernetes looks for a container's last words, unless its manifest says another place.
	kubernetesLog = "/dev/termination-log"
	// lastWordsMax is how much of them it keeps: the end.
	lastWordsMax = 4096
)

func terminationFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "termination-log", kubernetesLog, "`file` that gets the error when this ends with one, where it is there; empty: none")
}

// lastWords writes why the command ends where Kubernetes shows it. The file is never created: on other machines there is none.
func (a *app) lastWords(path string, err error) {
	if err == nil || path == "" {
		return
	}
	file, openErr := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if openErr != nil {
		return // it is on stderr all the same
	}
	text := strings.TrimSpace(config.Redact(err.Error()))
	if len(text) > lastWordsMax {
		text = strings.ToValidUTF8(text[:lastWordsMax], "")
	}
	_, _ = file.WriteString(text + "\n") // as above
	_ = file.Close()
}
