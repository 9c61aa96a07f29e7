-- PUT of names that come only once. Argument: the first part of the path and of the names.
function init(arguments)
    prefix = arguments[1]
    turn = 0
end

function request()
    turn = turn + 1
    return wrk.format("PUT", prefix .. turn, nil, "{}")
end
