package cli

import (
	"strings"
	"testing"
)

func TestRedactedCommand(t *testing.T) {
	for in, want := range map[string]string{
		"TOKEN=T0KEN ./run":                          "TOKEN=*** ./run",
		"PASSWORD='a T0KEN' x":                       "PASSWORD=*** x",
		`x --token "a T0KEN" y`:                      "x --token *** y",
		"x\t--token\tT0KEN":                          "x\t--token\t***",
		"export A=1;TOKEN=T0KEN x":                   "export A=1;TOKEN=*** x",
		"cd /srv\nTOKEN=T0KEN ./run\n":               "cd /srv\nTOKEN=*** ./run\n",
		`curl -H "Authorization: Bearer T0KEN" h`:    `curl -H 'Authorization: ***' h`,
		`curl -H "Accept: text/plain" h`:             `curl -H "Accept: text/plain" h`,
		"curl -HX-Token:T0KEN h":                     "curl -H*** h",
		"x -u me:T0KEN y":                            "x -u *** y",
		"x -ume:T0KEN y":                             "x -u*** y",
		"MYSQL_PWD=T0KEN x":                          "MYSQL_PWD=*** x",
		"DB_PASS=T0KEN x":                            "DB_PASS=*** x",
		`sh -c "TOKEN=T0KEN exec ./run"`:             "sh -c TOKEN=***",
		`sh -c "env TOKEN=T0KEN ./run"`:              "sh -c 'env TOKEN=*** ./run'",
		"(TOKEN=T0KEN ./run) && SECRET=T0KEN ./more": "(TOKEN=*** ./run) && SECRET=*** ./more",
		`TO"KEN"=T0KEN x`:                            "TOKEN=*** x",
		`--token \` + "\n" + `T0KEN`:                 "--token ***",
		"./run http://u:T0KEN@h/x":                   "./run http://***@h/x",
		"DB=postgres://u:T0KEN@h/x ./run":            "DB=postgres://***@h/x ./run",
		"x 'not closed T0KEN":                        "***",
		"cd  a/key=b && ./run --no-auth --port 1":    "cd  a/key=b && ./run --no-auth --port 1",
		"node server.js --port=3000":                 "node server.js --port=3000",
	} {
		if got := redactedCommand(in); got != want {
			t.Errorf("%q\n is %q\nwant %q", in, got, want)
		}
	}
}

// FuzzRedactedCommand: the value of a variable with such a name never shows, whatever
// stands around it.
func FuzzRedactedCommand(f *testing.F) {
	f.Add("cd /srv && ", " ./run")
	f.Add("sh -c '", "'")
	f.Add(`a "b`, `c"`)
	f.Fuzz(func(t *testing.T, before, after string) {
		parts, ok := shellParts(before)
		if !ok || len(parts) > 0 && !parts[len(parts)-1].space {
			t.Skip() // it would not be a word of its own
		}
		if got := redactedCommand(before + "API_TOKEN=T0KEN5ECRET " + after); strings.Contains(got, "T0KEN5ECRET") && !strings.Contains(before+after, "T0KEN5ECRET") {
			t.Errorf("%q, %q: %q", before, after, got)
		}
	})
}
