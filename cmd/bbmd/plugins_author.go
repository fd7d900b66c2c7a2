package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func newPluginsApproveCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approve NAME",
		Short: "Let migrations go on with a Work that changed after they had begun",
		Long: "A migration notes the content of the plugin that it begins with, and stops when that changes: half of a\n" +
			"table by one and half by another is rarely meant. This says that it is: the migrations of the Work NAME\n" +
			"that have begun go on with what is in the directory of plugins now, or is compiled into this bbmd.",
		Example: "  bbmd plugins approve normalize_email",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			work, err := a.lookupWork(cmd.Context(), args[0])
			if err != nil {
				return withCode(exitUsage, err)
			}
			c, err := a.connectControl(cmd)
			if err != nil {
				return err
			}
			defer c.close(cmd.Context())
			names, err := c.Store.Approve(cmd.Context(), c, work.Name, work.Digest)
			if err != nil {
				return err
			}
			if len(names) == 0 {
				return a.printf("no migration of %s began with another content\n", work.Name)
			}
			return a.printf("%s: %s\n", strings.Join(names, ", "), "goes on with the content that is there now")
		},
	}
	a.databaseFlag(cmd)
	return cmd
}
