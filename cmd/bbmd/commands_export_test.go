package main

import (
	"io"

	"github.com/spf13/cobra"
)

// Commands returns the command `bbmd` with all its subcommands, which writes nowhere.
func Commands() *cobra.Command { return newRoot(newApp(io.Discard, io.Discard)) }

// ExitCodes returns all codes that a command may end with.
func ExitCodes() []int {
	return []int{exitOK, exitUnexpected, exitUsage, exitPending, exitTimeout, exitMigration, exitUnreachable, exitRefused, exitTransient, exitInterrupted, exitTerminated}
}
