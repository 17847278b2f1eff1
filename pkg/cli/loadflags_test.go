package cli

import (
	"slices"
	"strings"
	"testing"
)

// TestRedacted expects the command line that records keep to be without secrets,
// and otherwise as typed.
func TestRedacted(t *testing.T) {
	for in, want := range map[string]string{
		"connect|-c|5":                                               "connect|-c|5",
		"connect|--bearer|T0KEN|-c|5":                                "connect|--bearer|***|-c|5",
		"connect|--bearer=T0KEN":                                     "connect|--bearer=***",
		"connect|--user|me:T0KEN":                                    "connect|--user|***",
		"connect|--user=me:T0KEN":                                    "connect|--user=***",
		"connect|--cookie|sid=T0KEN":                                 "connect|--cookie|***",
		"connect|--cookie=sid=T0KEN":                                 "connect|--cookie=***",
		"connect|--bearer":                                           "connect|--bearer",
		"connect|-H|Authorization: Bearer T0KEN":                     "connect|-H|Authorization: ***",
		"connect|-H|authorization:Bearer T0KEN":                      "connect|-H|authorization: ***",
		"connect|-HCookie: sid=T0KEN":                                "connect|-HCookie: ***",
		"connect|-H=Cookie: sid=T0KEN":                               "connect|-H=Cookie: ***",
		"connect|--header=X-API-Key: T0KEN":                          "connect|--header=X-API-Key: ***",
		"rooms|--send-header|X-Api-Key: T0KEN":                       "rooms|--send-header|X-Api-Key: ***",
		"rooms|--send-header=Cookie: sid=T0KEN":                      "rooms|--send-header=Cookie: ***",
		"connect|-H|Proxy-Authorization: T0KEN":                      "connect|-H|Proxy-Authorization: ***",
		"connect|-H|Cookie: s=T0KEN; next=https://a/b":               "connect|-H|Cookie: ***",
		"connect|--header|Authorization: T0KEN":                      "connect|--header|Authorization: ***",
		"connect|-H|X-Next: https://a/b":                             "connect|-H|X-Next: https://a/b",
		"connect|-H|Accept-Language: de":                             "connect|-H|Accept-Language: de",
		"connect|-qHX-Auth-Token: T0KEN":                             "connect|-qHX-Auth-Token: ***",
		"connect|http://h/x?access_token=T0KEN&b=1":                  "connect|http://h/x?access_token=***&b=1",
		"rooms|--send-url=http://h/x?key=T0KEN":                      "rooms|--send-url=http://h/x?key=***",
		"connect|http://h?x=a@b":                                     "connect|http://h?x=a@b",
		"connect|http://me:T0KEN@host/events":                        "connect|http://***@host/events",
		"connect|http://me:T0@KEN@host/events":                       "connect|http://***@host/events",
		"connect|http://host/a@b":                                    "connect|http://host/a@b",
		"rooms|--send-url=http://me:T0KEN@host/x":                    "rooms|--send-url=http://***@host/x",
		"rooms|--send-url|http://me:T0KEN@host/x":                    "rooms|--send-url|http://***@host/x",
		"connect|http://me:T0KEN@host":                               "connect|http://***@host",
		"connect|http://me:T0KEN@host?a=1":                           "connect|http://***@host?a=1",
		"connect|--cookie|a=T0KEN|--cookie|b=T0KEN":                  "connect|--cookie|***|--cookie|***",
		"connect|--jwt-secret|T0KEN|-c|5":                            "connect|--jwt-secret|***|-c|5",
		"connect|--jwt-secret=@T0":                                   "connect|--jwt-secret=***",
		`connect|--jwt-claims|{"sub":"T0KEN"}`:                       "connect|--jwt-claims|***",
		`connect|--jwt-claims={"sub":"T0KEN"}`:                       "connect|--jwt-claims=***",
		"connect|--bearer-command|vault T0KEN|-c|5":                  "connect|--bearer-command|***|-c|5",
		"connect|--bearer-command=vault T0KEN":                       "connect|--bearer-command=***",
		"connect|--server-command|TOKEN=T0KEN ./run":                 "connect|--server-command|TOKEN=*** ./run",
		"connect|--server-command=./run --key T0KEN":                 "connect|--server-command=./run --key ***",
		"connect|--server-command|./run --tls --token=T0KEN -p 1":    "connect|--server-command|./run --tls --token=*** -p 1",
		"connect|--server-command|./run http://h/x db://u:T0KEN@h/d": "connect|--server-command|./run http://h/x db://***@h/d",
		"connect|--server-command|./run --no-auth --port 1":          "connect|--server-command|./run --no-auth --port 1",
		"connect|--server-command|cd  a/key=b && ./run":              "connect|--server-command|cd  a/key=b && ./run",
		"connect|--bearer-file|tokens":                               "connect|--bearer-file|tokens",
		"connect|--cookie-jar|--affinity-cookie|SRV":                 "connect|--cookie-jar|--affinity-cookie|SRV",

		"rooms|--telemetry-header|Authorization: T0KEN":               "rooms|--telemetry-header|Authorization: ***",
		"rooms|--telemetry-header=X-Scope-OrgID: a":                   "rooms|--telemetry-header=X-Scope-OrgID: a",
		"rooms|--otlp|http://me:T0KEN@host":                           "rooms|--otlp|http://***@host",
		"rooms|--prometheus-write=http://me:T0KEN@host/x?token=T0KEN": "rooms|--prometheus-write=http://***@host/x?token=***",
	} {
		args := strings.Split(in, "|")
		got := redacted(args)
		if want := append([]string{"sseload"}, strings.Split(want, "|")...); !slices.Equal(got, want) {
			t.Errorf("redacted(%q)\n got %q\nwant %q", args, got, want)
		}
		if joined := strings.Join(got, "|"); strings.Contains(joined, "T0") {
			t.Errorf("redacted(%q) = %q tells the secret", args, got)
		}
		if strings.Join(args, "|") != in {
			t.Errorf("redacted changed its argument to %q", args)
		}
	}
}

func TestLabelsFor(t *testing.T) {
	f := loadFlags{workers: 1, labels: labels{}}
	if l := f.labelsFor(true); l.Type != "Normal" || l.Env != "Local" || l.Protocol != "" || l.Machine != hostName() || l.Extra != nil {
		t.Errorf("a local run: %+v", l)
	}
	f.workers = 2
	if l := f.labelsFor(false); l.Type != "Cluster" || l.Env != "Netw" {
		t.Errorf("a cluster over a network: %+v", l)
	}
	f.labels = labels{"machine": "m", "type": "t", "env": "e", "protocol": "p", "branch": "b"}
	if l := f.labelsFor(true); l.Machine != "m" || l.Type != "t" || l.Env != "e" || l.Protocol != "p" || len(l.Extra) != 1 || l.Extra["branch"] != "b" {
		t.Errorf("with labels: %+v", l)
	}
}
