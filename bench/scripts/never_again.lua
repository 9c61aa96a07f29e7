-- GET of one host, never twice in the same bytes. Argument: the path.
function init(arguments)
    path = arguments[1]
    turn = 0
end

function request()
    turn = turn + 1
    wrk.headers["If-None-Match"] = string.format('W/"%d"', turn)
    return wrk.format("GET", path)
end
