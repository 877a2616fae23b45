// Package action holds every change that stoker can make to a cluster, each
// done the same way from a screen, a command and a scenario:
//
//	Plan (what it will touch) -> confirm -> Do -> Result -> audit line
//
// Table says what there is: an ID, a verb, what it acts on and how dangerous it
// is. The tables of keys and of commands refer to these IDs, so help, footer,
// command line and documents cannot disagree.
//
// A Runner plans from the Snapshot it is given and asks the scheduler only
// where the snapshot cannot know (a dry run). In read-only mode Plan still
// explains; Do refuses. Do writes one audit line for each change, whether it
// succeeded or not. The first one opens the audit file; where that fails, Do
// refuses before it asks the scheduler for anything. A Runner may be used from
// several goroutines.
package action
