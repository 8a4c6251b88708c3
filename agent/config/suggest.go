package config

import (
	"slices"
	"strings"
)

// unknownRemedy names the field that was probably meant, else those that there are.
func unknownRemedy(key string, names []string) string {
	for _, name := range names {
		if strings.EqualFold(name, key) || distance(name, key) <= min(2, len(key)-2) {
			return "did you mean " + name + "?"
		}
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return "the fields here are " + strings.Join(names, ", ")
}

// distance is the number of letters to add, remove or replace to get from one word to the other; words of very different
// lengths are simply far apart.
func distance(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return len(a) + len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
