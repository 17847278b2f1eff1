package cli

import (
	"strings"
	"testing"
)

func TestRedactedCommand(t *testing.T) {
	for line, want := range map[string]string{
		"":                                          "",
		"node server.js":                            "node server.js",
		"a  'b c' \"d\"\\ e;f|g && (h)\n\ti > j":    "a  'b c' \"d\"\\ e;f|g && (h)\n\ti > j",
		"PASSWORD='a hunter2' x":                    "PASSWORD=*** x",
		`x --token "a hunter2" y`:                   "x --token *** y",
		"x\t--token\thunter2\ty":                    "x\t--token\t***\ty",
		"x --token \\\nhunter2 y":                   "x --token \\\n*** y",
		"x --token -hunter2 y":                      "x --token *** y",
		"x --token --password hunter2 y":            "x --token *** *** y",
		"x --token=a\\ hunter2 y":                   "x --token=*** y",
		"x --token; y":                              "x --token; y",
		"export A=1;TOKEN=hunter2 x":                "export A=1;TOKEN=*** x",
		"A=1\nexport TOKEN=hunter2\nx":              "A=1\nexport TOKEN=***\nx",
		`curl -H "Authorization: Bearer hunter2" y`: "curl -H 'Authorization: ***' y",
		`curl -H 'X-Room: 1' y`:                     "curl -H 'X-Room: 1' y",
		`curl --header=X-Api-Key:hunter2 y`:         "curl --header=X-Api-Key:*** y",
		`curl -HPass:hunter2 y`:                     "curl -HPass:*** y",
		"x -u me:hunter2 y":                         "x -u *** y",
		"x -ume:hunter2 y":                          "x -u*** y",
		"x --user=me:hunter2 y":                     "x --user=*** y",
		"x --user 'me:hunter2' y":                   "x --user *** y",
		"sudo -u www x":                             "sudo -u www x",
		"MYSQL_PWD=hunter2 x":                       "MYSQL_PWD=*** x",
		"DB_PASS=hunter2 x":                         "DB_PASS=*** x",
		"TOKEN= x":                                  "TOKEN= x",
		"BYPASS=1 x":                                "BYPASS=1 x",
		"x --env=TOKEN=hunter2 y":                   "x --env=TOKEN=*** y",
		`TO""KEN=hunter2 x`:                         "TOKEN=*** x",
		`sh -c 'x --token hunter2 y'`:               "sh -c 'x --token *** y'",
		`sh -c "x --token 'hunter2 a' y" z`:         "sh -c 'x --token *** y' z",
		`x -d '{"room":1,"token":"hunter2"}' y`:     `x -d '{"room":1,"token":***' y`,
		"x http://me:hunter2@h/?a=1 y":              "x http://***@h/?a=1 y",
		"x 'http://h/?token=hunter2&a=1' y":         "x 'http://h/?token=***&a=1' y",
		"x http://auth:8080/ y":                     "x http://auth:8080/ y",
		"DB_PASSWORD=//hunter2@ y":                  "DB_PASSWORD=*** y",
		"cat <<E\npassword: a hunter2\nE\nx":        "cat <<E\npassword: *** ***\nE\nx",
		"x # token=hunter2\ny":                      "x # token=***\ny",
		"# don't\nTOKEN='a hunter2' # don't":        "#***\nTOKEN=*** #***",
		// What cannot be parsed is hidden whole.
		"x 'hunter2":                    hidden,
		`x "hunter2`:                    hidden,
		`x hunter2\`:                    hidden,
		"TOKEN=$(echo hunter2) x":       hidden,
		"x --token `echo hunter2`":      hidden,
		`TOKEN="$(echo "a hunter2")" x`: hidden,
		"x --token ${A:-a hunter2}":     hidden,
		"x --token >log hunter2":        hidden,
		`TOKEN=$'a\' hunter2 '\''b' x`:  hidden,
	} {
		if got := redactedCommand(line); got != want {
			t.Errorf("%q\n got %q\nwant %q", line, got, want)
		}
	}
}

// quotings are the ways to write a word in a shell.
func quotings(word string) []string {
	var escaped strings.Builder
	for _, c := range []byte(word) {
		if c == '\n' {
			escaped.WriteString("'\n'") // behind a backslash it would be none
			continue
		}
		escaped.WriteString(`\` + string([]byte{c}))
	}
	double := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(word)
	return []string{"'" + strings.ReplaceAll(word, "'", `'\''`) + "'", `"` + double + `"`, escaped.String()}
}

// However the value of a secret is quoted, none of it is told.
func FuzzRedactedCommand(f *testing.F) {
	f.Add("", "")
	f.Add("a ", " b")
	f.Add(`"'\`, "\n;|&()<>`$(")
	f.Add("-", "***&://=:#")
	f.Add("x --token ", "'}${")
	f.Add("//", "@")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "hunter2"
		for _, value := range quotings(before + secret + after) {
			for _, form := range []string{
				"DB_PASSWORD=%", "A=1;MYSQL_PWD=% x", "export API_TOKEN=%\nx", "CLIENT_SECRET=% x", "A_KEY=%&x", "(DB_PASS=% x)",
				"x --token %", "x\t--api-key=%\ty", "x --token % y", "x --token \\\n% y", `x "--password" %`,
				"curl -H Authorization:%", "curl -H 'Cookie: '%", "curl --header=X-Auth:% y", "x -u me:% y", "x --user=me:%",
			} {
				line := strings.Replace(form, "%", value, 1)
				if got := redactedCommand(line); strings.Contains(got, secret) {
					t.Errorf("%q becomes %q", line, got)
				}
				for _, nested := range quotings(line) {
					if got := redactedCommand("sh -c " + nested); strings.Contains(got, secret) {
						t.Errorf("sh -c %q becomes %q", nested, got)
					}
				}
			}
		}
	})
}
