// Command mirrorlet stands for the real one, which takes longer to build.
package main

var release string

func main() { println("mirrorlet " + release) }
