// Package tui is the interactive program: the root model, the way between
// screens, and what lies over them (help, confirmation, prompt, messages).
//
// The root does four things, in this order: size, snapshots, overlays, the
// active screen. It knows no domain verb: a screen asks for an action, the
// root has it planned, shows what it will touch, and does it when confirmed.
// Everything that takes time is a command with a deadline, and its reply
// carries the number of the question: a reply to a question that was given up
// is dropped, a reply to a change that was begun never is.
//
// Snapshots come from the Feed one at a time: the next is asked for when the
// last was drawn, so a slow terminal skips snapshots and is never behind. Only
// the active screen gets them; another catches up when it is opened. The way to
// the terminal is a link: it never makes Update wait, and while the terminal has
// not taken the last frame nothing new is drawn. Nothing
// here or below reads the process's environment or streams: Config brings them,
// so that the program can be served over a connection.
package tui
