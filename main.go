// Command stoker runs AI models on bare-metal GPU machines under Nomad: live
// GPU and model metrics, jobs and keys, on a screen and as a command line.
package main

import (
	"os"

	"stoker/tui/wire"
)

// version is set when a release is built.
var version = "dev"

func main() { os.Exit(wire.Main(version, os.Args[1:])) }
