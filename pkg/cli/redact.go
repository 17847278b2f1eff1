package cli

import (
	"net/url"
	"slices"
	"strings"

	"github.com/sseload/sseload/pkg/target"
)

// redacted is the command line without its secrets, for records.
func redacted(args []string) []string {
	out := append([]string{"sseload"}, args...)
	var before string // the flag whose value comes next
	for i := 1; i < len(out); i++ {
		flag, value, joined := strings.Cut(out[i], "=")
		header, isHeader := shorthandHeader(out[i])
		switch {
		case slices.Contains(credentialFlags, before):
			out[i] = "***"
		case slices.Contains(headerFlags, before):
			out[i] = redactedHeader(out[i])
		case before == commandFlag:
			out[i] = redactedCommand(out[i])
		case joined && flag == commandFlag:
			out[i] = flag + "=" + redactedCommand(value)
		case before == inspectFlag:
			out[i] = withoutPath(out[i])
		case joined && flag == inspectFlag:
			out[i] = flag + "=" + withoutPath(value)
		case joined && slices.Contains(credentialFlags, flag) && value != "":
			out[i] = flag + "=***"
		case joined && slices.Contains(headerFlags, flag):
			out[i] = flag + "=" + redactedHeader(value)
		case isHeader && header != "":
			out[i] = strings.TrimSuffix(out[i], header) + redactedHeader(header)
		case isHeader:
			before = "--header"
			continue
		case joined && strings.HasPrefix(flag, "--"):
			out[i] = flag + "=" + target.Redacted(value)
		default:
			before = out[i]
			out[i] = target.Redacted(out[i])
			continue
		}
		before = ""
	}
	return out
}

// inspectFlag names a URL of which the path is a secret: who knows it commands the
// process.
const inspectFlag = "--inspect-url"

// commandFlag names a line of the shell, which may hold anything.
const commandFlag = "--server-command"

// withoutPath is a URL's scheme and host alone.
func withoutPath(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return "***"
	}
	if strings.Trim(u.Path, "/") == "" {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + "://" + u.Host + "/***"
}

//nolint:gochecknoglobals // constant tables
var (
	credentialFlags = []string{"--bearer", "--user", "--cookie", "--bearer-command", "--jwt-secret", "--jwt-claims"}
	headerFlags     = []string{"--header", "--send-header", "--telemetry-header"}
)

// shorthandHeader recognises -H with its value, which may be joined to it and to
// other shorthands: -qH'Name: value'. An empty value comes in the next argument.
func shorthandHeader(arg string) (value string, ok bool) {
	shorthands, value, ok := strings.Cut(arg, "H")
	if !ok || !strings.HasPrefix(shorthands, "-") || strings.Trim(shorthands[1:], "qv") != "" {
		return "", false
	}
	return strings.TrimPrefix(value, "="), true
}

// redactedHeader is "Name: value" without the value of a header that carries a
// credential.
func redactedHeader(line string) string {
	name, _, ok := strings.Cut(line, ":")
	if ok && target.IsSecret(name) {
		return name + ": ***"
	}
	return line
}
