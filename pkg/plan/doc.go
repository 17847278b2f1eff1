// Package plan reads test plans: YAML that says which load commands are run, with
// which settings, on which targets.
//
// A plan has steps. A step names a command, and has settings: keys with the values
// that they are given. What the keys are is no business of this package: whoever binds
// a step to its command knows which there are. Here a plan is text, and every piece of
// it keeps the place where it stands, so that whatever turns out to be wrong with it
// can be told with line and column ([Error]).
//
// [Parse] does all that needs no knowledge of commands: it replaces variables, gives
// steps what their target and the plan's defaults say, and makes a step with a matrix
// into one for each combination.
//
// A plan is YAML 1.2 without anchors, aliases, tags and complex keys, for which plans
// have variables and defaults. Scalars stay as they were written: 1.10 is no number
// here, but what the setting is given.
//
// Input is bounded, in size ([MaxSize]), in depth, and in how many steps it makes
// ([MaxSteps]). Parse panics on no input.
package plan
