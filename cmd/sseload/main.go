// Command sseload is a load-testing and profiling toolkit for Server-Sent Events.
package main

import "github.com/sseload/sseload/pkg/cli"

func main() { cli.Main() }
