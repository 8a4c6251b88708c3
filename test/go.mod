module github.com/mirrorlet/mirrorlet/test

go 1.26

require github.com/mirrorlet/mirrorlet v0.0.0

replace github.com/mirrorlet/mirrorlet => ../
