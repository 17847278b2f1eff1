package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/target"
)

// identityFlags say who each client is, beside what is written in the request. The
// commands that subscribe have them.
type identityFlags struct {
	bearerFile    string
	bearerCommand string
	jwtSecret     string
	jwtClaims     string
	cookieJar     bool
	tokens        *tokens
}

// defaultClaims name the client alone.
const defaultClaims = `{"sub":"{client}"}`

func (f *identityFlags) add(flags *pflag.FlagSet) {
	f.tokens = &tokens{}
	flags.StringVar(&f.bearerFile, "bearer-file", "", "`FILE` with a token a line, for an Authorization header: client i has line i")
	flags.StringVar(&f.bearerCommand, "bearer-command", "", "shell `COMMAND` that prints such tokens; SSELOAD_CLIENTS says how many are needed")
	flags.StringVar(&f.jwtSecret, "jwt-secret", "", "sign a JSON Web Token (HS256) for each request with `SECRET`, or with what is in @FILE")
	flags.StringVar(&f.jwtClaims, "jwt-claims", defaultClaims, "claims of those tokens, a `JSON` object whose strings may hold {room} and {client}; iat, and exp an hour later, are added")
	flags.BoolVar(&f.cookieJar, "cookie-jar", false, "each client keeps the cookies that it is sent, as a browser does, and sends them with its requests")
}

// spec adds what the flags say to s, which has the other credentials already.
func (f *identityFlags) spec(s *target.Spec) error {
	var ways []string
	for _, way := range []struct{ flag, value string }{
		{"--bearer", s.Bearer}, {"--user", s.User}, {"--bearer-file", f.bearerFile},
		{"--bearer-command", f.bearerCommand}, {"--jwt-secret", f.jwtSecret},
	} {
		if way.value != "" {
			ways = append(ways, way.flag)
		}
	}
	switch {
	case len(ways) > 1:
		return usagef("leave all but one of them out", "%s exclude each other", strings.Join(ways, " and "))
	case f.jwtSecret == "" && f.jwtClaims != "" && f.jwtClaims != defaultClaims:
		return usagef("add --jwt-secret", "--jwt-claims is about the tokens of --jwt-secret, which is not given")
	}
	s.CookieJar = f.cookieJar
	if f.bearerFile != "" || f.bearerCommand != "" {
		s.Token = f.tokens.of
	}
	if f.jwtSecret == "" {
		return nil
	}
	secret, err := secretOf(f.jwtSecret)
	if err != nil {
		return err
	}
	if s.JWT, err = target.NewJWT(secret, f.jwtClaims); err != nil {
		return &usageError{err: err}
	}
	return nil
}

// secretOf is a secret that is given as it is or, behind an @, by the name of its file,
// whose last line end does not count.
func secretOf(given string) ([]byte, error) {
	name, isFile := strings.CutPrefix(given, "@")
	if !isFile {
		return []byte(given), nil
	}
	text, err := readInput(name)
	if path := new(fs.PathError); errors.As(err, &path) {
		err = path.Err // without the name: it may be a secret that begins with an @
	}
	if err != nil {
		return nil, fmt.Errorf("--jwt-secret: read the file behind @: %w", err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(text) == 0 {
		return nil, errors.New("--jwt-secret: the file behind @ is empty")
	}
	return text, nil
}

// tokens are the clients' own. They are there once load has returned.
type tokens struct{ list []string }

// of is the token of a client.
func (t *tokens) of(client int) string {
	if client >= len(t.list) {
		return "" // the target is tried out before they are loaded
	}
	return t.list[client]
}

// load gets a token for each of so many clients, if they are to have some.
func (f *identityFlags) load(ctx context.Context, clients int) error {
	var text []byte
	var err error
	from := "--bearer-file: " + f.bearerFile
	switch {
	case f.bearerFile != "":
		if text, err = readInput(f.bearerFile); err != nil {
			return fmt.Errorf("--bearer-file: %w", err)
		}
	case f.bearerCommand != "":
		from = "--bearer-command"
		if text, err = runForTokens(ctx, f.bearerCommand, clients, bearerTimeout); err != nil {
			return err
		}
	default:
		return nil
	}
	list, err := parseTokens(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if len(list) < clients {
		return &hinted{
			fmt.Errorf("%s: %d tokens are not enough for %d clients", from, len(list), clients), "a line is a token, and client i has line i",
		}
	}
	f.tokens.list = list
	return nil
}

// parseTokens reads a token a line, but for blank ones.
func parseTokens(text string) ([]string, error) {
	var list []string
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, fmt.Errorf("line %d holds a control character, which no header may", n)
		}
		list = append(list, line)
	}
	return list, nil
}

const (
	// bearerTimeout is how long the command for tokens may take.
	bearerTimeout = 30 * time.Second
	// bearerGrace is for how long its output may be held open once it was ended.
	bearerGrace = time.Second
)

var errTooManyTokens = fmt.Errorf("it printed more than %d MiB", mostInput>>20)

// tokenBuffer takes what a command prints, up to the bound of a file.
type tokenBuffer struct {
	text bytes.Buffer
	full bool
}

// Write implements [io.Writer].
func (b *tokenBuffer) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > mostInput {
		b.full = true
		return 0, errTooManyTokens
	}
	return b.text.Write(p)
}

// runForTokens runs command, for limit at most, and returns what it prints.
func runForTokens(ctx context.Context, command string, clients int, limit time.Duration) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := shell(limited, command)
	cmd.Env = append(os.Environ(), environmentPrefix+"CLIENTS="+strconv.Itoa(clients))
	cmd.WaitDelay = bearerGrace
	var out tokenBuffer
	said := &lastWords{}
	cmd.Stdout, cmd.Stderr = &out, said
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case out.full: // which is why the command failed
		return nil, &hinted{fmt.Errorf("--bearer-command: %w", errTooManyTokens), "it is to print a token for each client and to end"}
	case limited.Err() != nil:
		return nil, &hinted{fmt.Errorf("--bearer-command was not done within %s", limit), "write the tokens to a file first, and use --bearer-file"}
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well; what it left behind holds its output open
		return out.text.Bytes(), nil
	}
	if text := said.last(); text != "" {
		return nil, fmt.Errorf("--bearer-command: %w: %s", err, oneLine(text))
	}
	return nil, fmt.Errorf("--bearer-command: %w", err)
}

// affinityFlags say how the backend of a client shows. Load commands have them.
type affinityFlags struct{ cookie, header string }

func (f *affinityFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.cookie, "affinity-cookie", "", "`NAME` of the cookie that says which backend a client is on: the report counts clients by backend")
	flags.StringVar(&f.header, "affinity-header", "", "`NAME` of the response header that says so")
}

func (f *affinityFlags) check() error {
	switch {
	case f.cookie != "" && f.header != "":
		return usagef("leave one of them out", "--affinity-cookie and --affinity-header exclude each other")
	case f.cookie != "" && !target.IsToken(f.cookie):
		return usagef("", "--affinity-cookie: %q cannot be the name of a cookie", f.cookie)
	case f.header != "" && !target.IsToken(f.header):
		return usagef("", "--affinity-header: %q cannot be the name of a header", f.header)
	}
	return nil
}

func (f *affinityFlags) affinity() load.Affinity {
	switch {
	case f.cookie != "":
		return load.Affinity{By: load.AffinityByCookie, Name: f.cookie}
	case f.header != "":
		return load.Affinity{By: load.AffinityByHeader, Name: f.header}
	}
	return load.Affinity{}
}
