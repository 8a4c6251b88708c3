package config

// The limits. They are far above what anybody needs, and there so that a generated config that has gone wrong is refused before it
// reaches a node instead of filling it.
const (
	// maxFile is the size of a file in bytes: a ConfigMap or an object of a cluster holds no more.
	maxFile = 1 << 20
	// maxDocuments counts the documents of a folder, Secrets and ConfigMaps included.
	maxDocuments = 256
	// maxFiles counts the files of a folder, so that one with endless empty files ends too.
	maxFiles = 256
	// maxRegistries counts the entries of a document, and of all that select a node together: each is a folder that runtimes search.
	maxRegistries = 500
	// maxMirrors counts the mirrors of a registry: a dead one costs up to a dial timeout for each request.
	maxMirrors = 16
	// maxHosts counts the host entries of a document, and of all together: /etc/hosts is read from its top at every look-up.
	maxHosts = 256
	// maxNames counts the names of a host entry: a line of /etc/hosts longer than a few KiB is cut by some readers.
	maxNames = 32
	// maxHeaders counts the headers of a mirror: servers refuse requests with too many.
	maxHeaders = 32
	// maxSelector counts the labels of a nodeSelector.
	maxSelector = 32
	// maxPEM is the size of certificates in bytes: the usual bundle of all public authorities is of about this size.
	maxPEM = 256 << 10
	// maxPrefix is the length of a prefix: a repository name has no more (NameTotalLengthMax of distribution/reference).
	maxPrefix = 255
	// maxURL is the length of a location.
	maxURL = 512
	// maxHeaderName and maxHeaderValue are lengths: common servers take 8 KiB for all headers together.
	maxHeaderName, maxHeaderValue = 128, 4096
	// maxErrors counts the errors of one document: nobody reads more, and reports have to be stored.
	maxErrors = 100
	// maxAliased counts the values that may be read through YAML aliases in one document, so that a few lines cannot become millions.
	maxAliased = 10_000
)
