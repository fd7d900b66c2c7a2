package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"strings"
	"syscall"

	"github.com/lmittmann/tint"

	"github.com/bbmd-dev/bbmd/testing/bench"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == bench.PluginArgument {
		if err := bench.ServePlugin(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	scale := flags.Bool("scale", false, "measure what things cost when there is much of them: "+strings.Join(bench.ScaleSections(), ","))
	quick := flags.Bool("quick", false, "take a fifth of the time")
	only := flags.String("only", "", "sections to run, separated by commas: "+strings.Join(bench.Sections(), ","))
	program := flags.String("bbmd", "", "bbmd `binary` whose statements at rest are counted")
	peers := flags.String("peers", "", "`program` of testing/bench/peers: others to measure beside")
	summary := flags.String("summary", "", "`file` for the few lines that README quotes, which the report begins with as well")
	output := flags.String("o", "", "`file` for the report, besides standard output")
	profile := flags.String("cpuprofile", "", "`file` for a profile of the client's side")
	strict := flags.Bool("strict", false, "fail when a target is missed")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return errors.Join(err, file.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, file.Close())
		}()
	}
	logger := slog.New(tint.NewTextHandler(os.Stderr, &tint.Options{Level: slog.LevelInfo}))
	options := bench.Options{Quick: *quick, Program: *program, Peers: *peers, Logger: logger}
	if *only != "" {
		options.Only = strings.Split(*only, ",")
	}
	if *scale {
		report, err := bench.Scale(ctx, options)
		if err != nil {
			return err
		}
		return errors.Join(report.WriteScale(os.Stdout), write(*output, report.WriteScale), judge(report, *strict))
	}
	report, err := bench.Run(ctx, options)
	if err != nil {
		return err
	}
	return errors.Join(report.Write(os.Stdout), write(*output, report.Write), write(*summary, report.WriteSummary), judge(report, *strict))
}

// write writes a file, unless the path is empty.
func write(path string, content func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(content(file), file.Close())
}

func judge(report *bench.Report, strict bool) error {
	verdicts := report.Verdicts()
	if missed := verdicts[bench.Missed]; strict && missed > 0 {
		return fmt.Errorf("%d targets were missed", missed)
	}
	if void := verdicts[bench.Void]; strict && void > 0 {
		return fmt.Errorf("%d lines are void: the machine was too busy to measure", void)
	}
	return nil
}
