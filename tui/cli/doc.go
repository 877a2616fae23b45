// Package cli is line mode: the same facts and verbs as the screens, as tables
// for people and as JSON, YAML or CSV for programs.
//
// A command reads the Snapshot that the screens read and changes things through
// the same actions. It knows no adapter: App holds what main wires, each as a
// function, so that --help connects to nothing. Results go to Out and nothing
// else does; what a person should know besides goes to Err. Errors come back
// to main, which alone turns them into exit codes.
package cli
