package cli

import (
	"slices"
	"strings"

	"github.com/sseload/sseload/pkg/target"
)

// redacted is the command line without its secrets, for records.
func redacted(args []string) []string {
	secret := []string{"--bearer", "--user", "--cookie"}
	out := append([]string{"sseload"}, args...)
	for i := 1; i < len(out); i++ {
		name, value, joined := strings.Cut(out[i], "=")
		switch {
		case slices.Contains(secret, name) && joined && value != "":
			out[i] = name + "=***"
		case slices.Contains(secret, name) && !joined && i+1 < len(out):
			i++
			out[i] = "***"
		case isSecretHeader(out[i]):
			name, _, _ := strings.Cut(out[i], ":")
			out[i] = name + ": ***"
		default:
			out[i] = redactedURL(out[i])
		}
	}
	return out
}

// isSecretHeader recognises the value, or the whole, of a header flag that holds
// a credential. Shorthands may be joined: -qHName: value.
func isSecretHeader(arg string) bool {
	name, _, ok := strings.Cut(arg, ":")
	if !ok || strings.Contains(arg, "://") {
		return false
	}
	if strings.HasPrefix(name, "-") && !strings.HasPrefix(name, "--") {
		_, name, _ = strings.Cut(name, "H")
	}
	for _, prefix := range []string{"=", "--header=", "--send-header="} {
		name = strings.TrimPrefix(name, prefix)
	}
	return target.IsSecret(name)
}

// redactedURL is an argument that may be a URL, or a flag with one, without its
// secrets.
func redactedURL(arg string) string {
	flag, value, ok := strings.Cut(arg, "=")
	if ok && strings.HasPrefix(flag, "--") {
		return flag + "=" + target.Redacted(value)
	}
	return target.Redacted(arg)
}
