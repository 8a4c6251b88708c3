package config

// The limits. They are far above what anybody needs, and there so that a generated config that has gone wrong is refused before it
// reaches a node instead of filling it. The CRD has the same ones (api/v1alpha1), so that an object that an API server takes is never
// too large here, and the other way round.
const (
	// maxFile is the size of a file in bytes: a ConfigMap or an object of a cluster holds no more.
	maxFile = 1 << 20
	// maxDocuments counts the documents of a folder, Secrets and ConfigMaps included.
	maxDocuments = 256
	// maxFiles counts the files of a folder, so that one with endless empty files ends too.
	maxFiles = 256
	// maxRegistries counts the entries of a document: what an API server may spend on checking one object does not allow for more.
	maxRegistries = 150
	// maxRegistriesTogether counts those of all documents that select a node: each is a folder that runtimes search.
	maxRegistriesTogether = 500
	// maxMirrors counts the mirrors of a registry: a dead one costs up to a dial timeout for each request.
	maxMirrors = 8
	// maxHosts counts the host entries of a document, which are all compared with each other.
	maxHosts = 100
	// maxHostsTogether counts those of all documents that select a node: /etc/hosts is read from its top at every look-up.
	maxHostsTogether = 256
	// maxNames counts the names of a host entry: a line of /etc/hosts longer than a few KiB is cut by some readers.
	maxNames = 8
	// maxHeaders counts the headers of a mirror: servers refuse requests with too many.
	maxHeaders = 16
	// maxSelector counts the labels of a nodeSelector.
	maxSelector = 32
	// maxPEM is the size of certificates in bytes: the usual bundle of all public authorities is of about this size.
	maxPEM = 256 << 10
	// maxPrefix is the length of a prefix: a repository name has no more (NameTotalLengthMax of distribution/reference).
	maxPrefix = 255
	// maxURL is the length of a location or an API root.
	maxURL = 256
	// maxHeaderName and maxHeaderValue are lengths: common servers take 8 KiB for all headers together.
	maxHeaderName, maxHeaderValue = 128, 4096
	// maxErrors counts the errors of one document: nobody reads more, and reports have to be stored.
	maxErrors = 100
	// maxAliased counts the values that may be read through YAML aliases in one document, so that a few lines cannot become millions.
	maxAliased = 10_000
)
