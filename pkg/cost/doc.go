// Package cost works out what one more client, connect or copy costs, from the
// records of runs that differ in how many there were.
//
// One run alone cannot say: what a server needs without any client is in its
// figures. Over several runs [Of] draws a straight line through what each cost,
// by least squares; its slope is what one more costs, where it begins is what
// there is without any, and the scatter around it gives the error. The error is
// half the width of a 95 % confidence interval, from Student's t distribution with
// two degrees of freedom fewer than there are runs: as it knows of no other runs,
// it takes the scatter to be the same along the whole line, and chance.
//
// A server that was started for each run holds nothing of the run before, so that its
// memory is fitted as it grew. One that runs on may hold memory of earlier clients,
// which later ones use again: there it is fitted as it was with all clients connected,
// and only where each run needed more than all before it. What the server was made to
// hold before the first run, nobody here can know.
//
// Two runs always lie on a line: a slope without an error is none, and is left out.
package cost
