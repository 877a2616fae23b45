// Package settings checks what the user wrote into the section ui of the config
// file: saved views, hotkeys, aliases and themes. The file itself is read by
// cluster/contexts, strictly; here a name must mean something, and what is wrong
// is told with its line.
package settings
