package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sseload/sseload/pkg/report"
)

// Exit codes.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitThreshold   = 3
	exitOverloaded  = 4
	exitInterrupted = 130
)

// App is a run of the program: its arguments and its ties to the world.
type App struct {
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Env    func(string) (string, bool)
	// Exit ends the process at once, for a second Ctrl-C.
	Exit func(code int)

	quiet    bool
	verbose  bool
	noColor  bool
	progress progressMode
	screen   screen      // on stderr, while progress is live
	shown    int         // runs that telemetry has shown
	drawn    atomic.Bool // progress is live: what is typed shows beside it
	leaving  leaving
}

// Main runs the program with the process' arguments and streams and exits with
// its code.
func Main() {
	a := &App{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Env: os.LookupEnv, Exit: os.Exit,
	}
	os.Exit(a.Run())
}

// Run carries out what the arguments say and returns the exit code.
func (a *App) Run() int {
	root := a.rootCommand()
	root.SetArgs(a.Args)
	err := root.ExecuteContext(context.Background())
	return a.report(err)
}

// report prints err, if there is anything to say, and finds the exit code.
func (a *App) report(err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	if list := new(figureList); errors.As(err, &list) {
		return a.printFigures(list)
	}
	a.tell("error: %s", oneLine(err.Error()))
	if hint := hintOf(err); hint != "" {
		a.tell("hint: %s", oneLine(hint))
	}
	if errors.As(err, new(*usageError)) {
		return exitUsage
	}
	if errors.As(err, new(*thresholdError)) {
		return exitThreshold
	}
	if errors.As(err, new(*overloadError)) {
		return exitOverloaded
	}
	if errors.As(err, new(*worseError)) {
		return exitThreshold
	}
	return exitError
}

// oneLine is s on one line, as it may be shown: some of it comes from outside.
func oneLine(s string) string {
	return report.Clean(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; "))
}

// log is where things that are no result are told, in words for people.
func (a *App) log() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case a.verbose:
		level = slog.LevelDebug
	case a.quiet:
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(a.screen.over(a.Stderr), &slog.HandlerOptions{Level: level}))
}

// note tells the user something that is no error, unless they asked for quiet.
func (a *App) note(format string, args ...any) {
	if !a.quiet {
		a.tell(format, args...)
	}
}

// tell writes a line to stderr. When that fails there is nobody left to tell.
func (a *App) tell(format string, args ...any) {
	clearLine := ""
	if a.drawn.Load() {
		clearLine = "\r\x1b[K" // a key that was pressed may stand there
	}
	_, _ = fmt.Fprintf(a.screen.over(a.Stderr), clearLine+"sseload: "+format+"\n", args...)
}

// terminalWidth is the width of w when it is a terminal.
func terminalWidth(w io.Writer) (columns int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	return columns, err == nil && columns > 0
}

// drawable reports whether w is a terminal that knows how to move its cursor.
func (a *App) drawable(w io.Writer) bool {
	f, isFile := w.(*os.File)
	if _, terminal := terminalWidth(w); !isFile || !terminal || a.environment("TERM") == "dumb" {
		return false
	}
	return understands(f)
}

// coloured reports whether what goes to w may have colours: see https://no-color.org.
func (a *App) coloured(w io.Writer) bool {
	return !a.noColor && a.environment("NO_COLOR") == "" && a.drawable(w)
}

// unattended reports whether this is continuous integration, where nobody watches.
func (a *App) unattended() bool {
	switch a.environment("CI") {
	case "", "0", "false":
		return false
	}
	return true
}

// environment is the value of a variable, empty when it is not set.
func (a *App) environment(name string) string {
	if a.Env == nil {
		return ""
	}
	value, _ := a.Env(name)
	return value
}

// sameTermination is within what time a second SIGTERM means the first one: some
// programs send it to the process and to its group as well.
const sameTermination = time.Second

// interruptible returns a context that the first Ctrl-C (or SIGTERM, or SIGHUP when the
// terminal is gone) cancels,
// after saying so with onFirst. The second ends the process at once. stop must be
// called.
func (a *App) interruptible(ctx context.Context, onFirst string) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	var stopped atomic.Bool
	go func() {
		defer close(done)
		var begun time.Time // when the first signal came
		for {
			sig, ok := <-signals
			switch {
			case !ok:
				return
			case sig == syscall.SIGTERM && !begun.IsZero() && time.Since(begun) < sameTermination:
			case begun.IsZero():
				begun = time.Now()
				if onFirst != "" {
					a.note("%s", onFirst)
				}
				cancel()
			default:
				a.leaving.now()
				a.Exit(exitInterrupted)
			}
		}
	}()
	return ctx, func() {
		if stopped.CompareAndSwap(false, true) {
			signal.Stop(signals)
			close(signals)
			<-done
			cancel()
		}
	}
}

// rootCommand puts the commands together.
func (a *App) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:     "sseload",
		Short:   "Load-test and profile Server-Sent Events servers",
		Version: version(),
		Long: `sseload opens many real EventSource clients on a server, drives messages
through it, proves what was delivered, measures when, and reports what it cost.
Without a URL it brings its own server.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := refuseEmpty(cmd.Flags()); err != nil {
				return err
			}
			return bindEnvironment(cmd.Flags(), a.Env)
		},
	}
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SetFlagErrorFunc(flagError)
	root.SuggestionsMinimumDistance = 2
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "no progress and no notes on stderr")
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "tell more on stderr")
	root.PersistentFlags().BoolVar(&a.noColor, "no-color", false, "no colours on a terminal")
	root.PersistentFlags().Var(&a.progress, "progress", "where a run stands: live, plain or none")
	root.AddCommand(
		a.connectCommand().Command, a.roomsCommand().Command, a.tailCommand(), a.serveCommand(),
		a.runCommand(), a.compareCommand(), a.doctorCommand(), a.reportCommand(), a.versionCommand(),
	)
	completeCobrasOwn(root)
	return root
}

// completeCobrasOwn has the commands that cobra brings refuse what they do not
// know. Left alone they print help and succeed.
func completeCobrasOwn(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				if found, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return noArguments(found, rest)
				}
				return nil
			}
		case "completion":
			c.Args = noArguments
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}
