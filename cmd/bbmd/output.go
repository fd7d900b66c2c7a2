package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

// The values of --output.
const (
	outputTable = "table"
	outputJSON  = "json"
)

// outputFlag adds --output to a command that prints a table for people and JSON
// for programs.
func (a *app) outputFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&a.output, "output", "o", outputTable, "`format`: table or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{outputTable, outputJSON}, cobra.ShellCompDirectiveNoFileComp))
}

// wantsJSON reports whether --output says json.
func (a *app) wantsJSON() (bool, error) {
	switch a.output {
	case outputJSON:
		return true, nil
	case outputTable:
		return false, nil
	default:
		return false, withCode(exitUsage, fmt.Errorf("--output %s: it is table or json", a.output))
	}
}

// printJSON writes v, indented.
func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// printf writes text for people.
func (a *app) printf(format string, args ...any) error {
	if _, err := fmt.Fprintf(a.out, format, args...); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
