module github.com/mirrorlet/mirrorlet

go 1.26

require (
	github.com/distribution/reference v0.6.0 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
)
