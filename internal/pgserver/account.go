package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"time"
)

// account is the user of the operating system that the server runs as. The
// zero account is the user of this process.
type account struct {
	name     string
	uid, gid int
	switched bool
}

// serverAccount returns this process's user, or for root, as whom PostgreSQL
// refuses to run, an unprivileged one.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr != nil || gidErr != nil || uid == 0 {
			continue
		}
		return account{name: name, uid: uid, gid: gid, switched: true}, nil
	}
	return account{}, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody: run as an ordinary user")
}

// command is exec.CommandContext as the account, in a session of its own so
// that a Ctrl-C at the terminal reaches the owner alone, and with nothing of
// the owner's environment that could change what PostgreSQL does.
func (a account) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // the paths are PostgreSQL's own programs, as Find saw them, and sh
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "LC_ALL=C"}
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.switched {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)} //nolint:gosec // ids of the operating system are 32 bits wide
	}
	return cmd
}

// own hands a file or directory to the account.
func (a account) own(path string) error {
	if !a.switched {
		return nil
	}
	if err := os.Lchown(path, a.uid, a.gid); err != nil {
		return fmt.Errorf("hand %s to user %s: %w", path, a.name, err)
	}
	return nil
}

// reach says why the account cannot enter a directory.
func (a account) reach(ctx context.Context, dir string) error {
	if !a.switched {
		return nil
	}
	if err := a.command(ctx, "/bin/sh", "-c", `cd -- "$1"`, "sh", dir).Run(); err != nil {
		return fmt.Errorf("user %s, as whom root's server runs, cannot enter %s (%w): choose a directory whose parents are open to others, or run as an ordinary user",
			a.name, dir, err)
	}
	return nil
}
