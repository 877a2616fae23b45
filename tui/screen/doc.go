// Package screen holds what all screens share: the Screen interface, the Env
// that a screen is made with, the messages between a screen and the root, and
// List, the base of a screen that is one table.
//
// A screen is made once and lives as long as the program. All its methods are
// called from the program's one goroutine. SetSnapshot turns the snapshot into
// rows, Update answers keys and does no I/O, View joins lines that are ready
// and is exactly the size of SetSize. What takes time is a tea.Cmd, which gets
// Env.Base as its context and puts into its reply which question it answers.
//
// A screen asks for things in messages (Open, Ask, Question, Prompt, Note), so
// it knows neither the root nor the other screens, and the root knows no verb.
// Staleness is in the snapshot: Source tells how the sources of a group do.
package screen
