package rolemap

import "strings"

// nearest returns the candidate that name was probably meant to be, or "".
// Letter case costs nothing, so "username" is nearest to "userName".
func nearest(name string, candidates []string) string {
	best, least := "", 1+max(1, len([]rune(name))/3)
	folded := []rune(strings.ToLower(name))
	for _, c := range candidates {
		d := distance(folded, []rune(strings.ToLower(c)), least+1)
		if d < least || d == least && best != "" && c < best {
			best, least = c, d
		}
	}
	return best
}

// distance is the number of edits between a and b: characters added, removed or
// replaced, and neighbours swapped; or any number ≥ enough once it cannot be less.
func distance(a, b []rune, enough int) int {
	if len(a)-len(b) >= enough || len(b)-len(a) >= enough {
		return enough
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			substitute := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				substitute++
			}
			rows[i][j] = min(substitute, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
