// Package spelling finds the name that somebody probably meant.
package spelling

// farthest is how many letters a slip of the finger is off at most.
const farthest = 2

// Nearest is the one of names that name was probably meant to be, or empty.
func Nearest(name string, names []string) string {
	best, distance := "", farthest+1
	for _, n := range names {
		if d := Distance(name, n); d < distance && d < len(name) {
			best, distance = n, d
		}
	}
	return best
}

// Distance is how many bytes have to be changed, put in or left out to make b of a
// (Levenshtein).
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], change
		}
	}
	return row[len(b)]
}
