# For those who have Docker: docker build -t registry.example.com/mirrorlet:v1 --build-arg VERSION=v1 .
# `make image` makes the same program and the same config without it, for several platforms, and with the same digest each time.
ARG GO_IMAGE=golang:1.26

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS=linux
ARG TARGETARCH
ARG VERSION=devel
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -tags grpcnotrace -trimpath -buildvcs=false -ldflags "-s -w -X main.release=$VERSION" -o /mirrorlet ./cmd/mirrorlet

# There is no CA bundle: the agent trusts the API server by the ca.crt of its service account.
FROM scratch
ARG VERSION=devel
LABEL org.opencontainers.image.title="mirrorlet" \
      org.opencontainers.image.description="Makes the container runtime of each node use your registry mirrors, and proves it" \
      org.opencontainers.image.source="https://github.com/mirrorlet/mirrorlet" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /mirrorlet /mirrorlet
WORKDIR /
USER 0:0
ENTRYPOINT ["/mirrorlet"]
